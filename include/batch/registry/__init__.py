"""Runs, model cards and the decision who is champion, kept in MLflow."""

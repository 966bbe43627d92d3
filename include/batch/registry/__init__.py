"""Runs, model cards, versions and promotion decisions, stored in MLflow and MongoDB."""

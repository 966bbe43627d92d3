"""Splits, metrics, confidence intervals and leakage checks."""

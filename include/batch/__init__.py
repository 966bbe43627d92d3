"""Nightly batch: features, similar users, models, privacy, explanations and promotion.

It runs in a separate Python environment.
"""

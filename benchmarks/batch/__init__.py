"""Measurements of the nightly batch, run in its own environment."""

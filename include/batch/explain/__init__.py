"""Shapley values of each model's predictions on held-out visits."""

"""Names of the folders and files that the steps of a run exchange."""

MODELS, PREDICTIONS, PLOTS = "models", "predictions", "plots"
"""Folders of a run: one folder per fitted model, its probabilities on the validation and test rows, and plots."""

IMPORTANCE = "importance.csv"

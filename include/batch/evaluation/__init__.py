"""Splits, figures, intervals and the controls that tell whether a figure may be believed."""

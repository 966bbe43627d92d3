"""The models, one way to fit, keep and load them all."""

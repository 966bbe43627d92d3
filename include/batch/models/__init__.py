"""The models, with one interface to fit, store and load them."""

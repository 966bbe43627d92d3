"""The differentially private network: one object configures training and accounting."""

"""Users who look at the same things: MinHash LSH, every candidate checked exactly."""

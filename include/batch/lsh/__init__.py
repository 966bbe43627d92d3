"""Similar users: MinHash LSH, with every candidate verified exactly."""

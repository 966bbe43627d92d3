"""The columns of a visit before its outcome, and the feature table on disk."""

"""Ground truth of sent sessions, and its comparison with the counts of each stage."""

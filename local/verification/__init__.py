"""Ground truth of what was sent, and the comparison with the counts of each stage."""

"""Ground truth of what was sent, and the comparison with what each stage holds."""

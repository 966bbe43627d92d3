"""What is known of a visit before its outcome, as columns on disk."""

"""One module a schedule."""

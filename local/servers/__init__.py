"""One module per server: its configuration, its processes and its readiness probe."""

"""One module a server: its configuration, its processes, and the probe that tells whether it answers."""

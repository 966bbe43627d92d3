"""Benches. Each module is a command, `./showroom bench NAME`, whose last line of output is one JSON object."""

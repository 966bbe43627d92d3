"""Load steps: each module is one command, `./showroom bench NAME`, that prints one JSON object as its last line."""

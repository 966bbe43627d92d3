"""The documentation site: mkdocs's hooks, and the build that `./showroom docs` and `./showroom check` run."""

"""The serving stage: index templates and the queries readers ask."""

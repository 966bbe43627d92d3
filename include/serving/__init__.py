"""Access to the indices: templates, queries, pipeline events, retention and redrive."""

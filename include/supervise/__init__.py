"""The supervise stage: what watches the stream and acts on it."""

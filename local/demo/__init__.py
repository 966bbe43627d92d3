"""The demo: fill a platform, verify each session, and leave it running."""

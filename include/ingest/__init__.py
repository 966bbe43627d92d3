"""The ingest stage: a synthetic shop with ground truth, readers of real shop logs, and the publisher.

`generator.synthesize` and `replay.replay` create records, `publisher.publish` sends them to `sessions.raw`.
"""

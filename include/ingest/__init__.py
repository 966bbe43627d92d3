"""The ingest stage: a synthetic shop with planted truth, readers of real shop logs, and the publisher.

`shop.synthesize` and `replay.replay` make records, `publisher.publish` sends them to `sessions.raw`.
"""

"""The supervise stage: monitors the stream job, restarts it, and sends alerts."""

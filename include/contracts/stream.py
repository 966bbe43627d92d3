"""What the stream job is called, wherever it is started, watched or stopped."""

JOB_NAME = "showroom-live"
JOB_FILE = "flink/job.py"

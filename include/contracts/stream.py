"""The name and the script of the stream job."""

JOB_NAME = "showroom-live"
JOB_FILE = "flink/job.py"

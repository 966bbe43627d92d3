"""The stream stage: the job that runs inside the Flink cluster, in a separate environment."""

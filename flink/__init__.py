"""The stream stage: the job that runs inside the Flink cluster, in an environment of its own."""

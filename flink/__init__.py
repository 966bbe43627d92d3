"""The stream stage: what runs inside the Flink cluster, in an environment of its own."""

"""The archive stage: copy admitted sessions from Kafka to MongoDB, each once."""

"""Archive: admitted sessions out of Kafka into MongoDB, each once."""

"""The nightly batch: features, similar users, models, privacy, explanation, promotion; in an environment of its own."""

"""The gate: every raw record becomes one valid session or one rejected record, exactly once."""

"""Airflow's plugin: hooks, sensor, operators, alerts, links and pages of the showroom."""

import logging

# At INFO kafka-python logs every connection, which hides the one line of a task's log that says what it did.
logging.getLogger("kafka").setLevel(logging.WARNING)

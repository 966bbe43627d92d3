"""Airflow plugin: hooks, sensor, operators, alerts, links and pages."""

import logging

# At INFO kafka-python logs every connection, which hides the result line in a task's log.
logging.getLogger("kafka").setLevel(logging.WARNING)

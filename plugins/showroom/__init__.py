"""Airflow's plugin: hooks, sensor, operators, alerts, links and pages of the showroom."""

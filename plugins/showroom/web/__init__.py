"""Read-only pages in Airflow's navigation, behind Airflow's login."""

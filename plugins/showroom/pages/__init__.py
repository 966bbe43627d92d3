"""The pages in Airflow's side bar: read only, behind Airflow's login."""

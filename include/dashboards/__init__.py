"""The dashboards: YAML definitions, and what is compiled from them for Kibana and the pages."""

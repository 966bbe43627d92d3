"""The dashboards: YAML definitions, and the files compiled from them for Kibana and the pages."""

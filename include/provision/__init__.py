"""Topics, index templates, keys and dashboards: run by containers and by the local stack."""

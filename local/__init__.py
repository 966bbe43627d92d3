"""The platform on one machine without containers: servers, processes and readiness."""

"""The whole platform on one machine without containers: environments, servers, command line."""

"""Validate Kibana's saved objects and compare them with the compiled panels."""

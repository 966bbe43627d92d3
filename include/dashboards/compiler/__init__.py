"""Compile dashboard definitions to Elasticsearch queries."""

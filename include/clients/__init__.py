"""Clients of the servers, one module a server."""

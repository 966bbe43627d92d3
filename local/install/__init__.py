"""Installation of environments and servers, once for each content of their locks."""

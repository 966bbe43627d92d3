"""Fields of one index, and the queries that KQL and Lucene interpret alike."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from include.contracts.errors import TerminalError
from include.contracts.index_documents import INDICES, TIME_FIELD, mapping

# KQL and Lucene parse alike: field:value, field:* and field:(a OR b), joined by AND, OR, NOT.
_VALUE = r'(?:\*|[\w.@-]+|"[^"\\]*")'
_TERM = rf"\w+:(?:{_VALUE}|\(\s*{_VALUE}(?:\s+OR\s+{_VALUE})*\s*\))"
_TOKEN = re.compile(rf"\s*(?:(?P<term>{_TERM})|(?P<word>AND|OR|NOT)\b|(?P<bracket>[()]))\s*")
_QUERY_TYPES = ("keyword", "boolean", "text", "long", "date")


class UnsupportedDashboardError(TerminalError):
    """Part of a dashboard has no translation. The caller adds the panel's name."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "change the YAML below include/dashboards/definitions")


class IndexSchema:
    """Fields and types of the index behind one alias."""

    def __init__(self, alias: str) -> None:
        if alias not in INDICES:
            raise UnsupportedDashboardError(f"there is no index {alias!r}, only {', '.join(INDICES)}")
        self.alias = alias
        self.time_field = TIME_FIELD[alias]
        self.types: dict[str, str] = {
            name: field["type"] for name, field in mapping(INDICES[alias])["properties"].items()
        }

    def require(self, field: str, types: Iterable[str], use: str) -> str:
        """Return the field's type. Raises UnsupportedDashboardError if the field is missing or of another type."""
        if field not in self.types:
            raise UnsupportedDashboardError(f"{self.alias} has no field {field!r}")
        expected = tuple(types)
        if self.types[field] not in expected:
            raise UnsupportedDashboardError(
                f"{use} of {self.alias}.{field} is impossible: it is {self.types[field]}, not {expected}"
            )
        return self.types[field]

    def query(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return a `kql` text as a query of Elasticsearch.

        Raises:
            UnsupportedDashboardError: KQL and Lucene interpret the text differently.
        """
        if set(definition) != {"kql"} or not isinstance(definition["kql"], str):
            raise UnsupportedDashboardError(f"query {dict(definition)!r} is not of the form kql: text")
        text = definition["kql"]
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise UnsupportedDashboardError(f"query {text!r} cannot be translated from {text[position:]!r} on")
            if token["term"]:
                self.require(token["term"].split(":", 1)[0], _QUERY_TYPES, "a query")
            position = token.end()
        if not position:
            raise UnsupportedDashboardError("a query is empty")
        return {"query_string": {"query": text, "analyze_wildcard": True}}

"""The fields of one index, and the queries over them that mean the same to Kibana and to Elasticsearch."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from include.contracts.documents import INDICES, TIME_FIELD, mapping
from include.contracts.errors import TerminalError

# field:value, field:* and field:(a OR b), joined by AND, OR, NOT: KQL and Lucene read these alike.
_VALUE = r'(?:\*|[\w.@-]+|"[^"\\]*")'
_TERM = rf"\w+:(?:{_VALUE}|\(\s*{_VALUE}(?:\s+OR\s+{_VALUE})*\s*\))"
_TOKEN = re.compile(rf"\s*(?:(?P<term>{_TERM})|(?P<word>AND|OR|NOT)\b|(?P<bracket>[()]))\s*")


class Refused(TerminalError):
    """Part of a dashboard that has no translation. The caller says of which panel."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "change the YAML below include/serving/dashboards")


class Fields:
    """What can be asked of the index behind one alias."""

    def __init__(self, alias: str) -> None:
        if alias not in INDICES:
            raise Refused(f"there is no index {alias!r}, only {', '.join(INDICES)}")
        self.alias = alias
        self.time = TIME_FIELD[alias]
        self.types: dict[str, str] = {
            name: about["type"] for name, about in mapping(INDICES[alias])["properties"].items()
        }

    def require(self, field: str, types: Iterable[str], use: str) -> str:
        """The field's type. Raises Refused where the index has no such field, or one of another type."""
        if field not in self.types:
            raise Refused(f"{self.alias} has no field {field!r}")
        wanted = tuple(types)
        if self.types[field] not in wanted:
            raise Refused(f"{use} of {self.alias}.{field} is impossible: it is {self.types[field]}, not {wanted}")
        return self.types[field]

    def query(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A `kql` text as a query of Elasticsearch. Raises Refused for what KQL and Lucene read differently."""
        if set(asked) != {"kql"} or not isinstance(asked["kql"], str):
            raise Refused(f"query {dict(asked)!r} is not of the form kql: text")
        text = asked["kql"]
        place = 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise Refused(f"query {text!r} cannot be translated from {text[place:]!r} on")
            if found["term"]:
                self.require(found["term"].split(":", 1)[0], ("keyword", "boolean", "text", "long", "date"), "a query")
            place = found.end()
        if not place:
            raise Refused("a query is empty")
        return {"query_string": {"query": text, "analyze_wildcard": True}}

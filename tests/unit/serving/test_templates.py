"""Index templates follow the contract and the settings."""

import pytest

from include.contracts.documents import INDICES
from include.contracts.settings import Settings
from include.serving.templates import template_body


@pytest.mark.parametrize("alias", INDICES)
def test_each_index_gets_its_mapping_alias_and_nothing_else(alias: str) -> None:
    body = template_body(alias, Settings())
    assert body["index_patterns"] == [f"{alias}-*"]
    assert body["template"]["aliases"] == {alias: {}}
    assert body["template"]["mappings"]["dynamic"] == "strict"
    assert set(body["template"]["mappings"]["properties"]) == set(INDICES[alias].__struct_fields__)


def test_the_settings_reach_the_index() -> None:
    settings = Settings(index_shards=3, index_replicas=2, index_refresh_s=7, index_durability="async")
    assert template_body("kpi_minute", settings)["template"]["settings"]["index"] == {
        "number_of_shards": 3,
        "number_of_replicas": 2,
        "refresh_interval": "7s",
        "translog": {"durability": "async"},
    }


def test_without_an_interval_elasticsearch_may_rest_an_index_that_nobody_searches() -> None:
    assert "refresh_interval" not in template_body("kpi_minute", Settings())["template"]["settings"]["index"]

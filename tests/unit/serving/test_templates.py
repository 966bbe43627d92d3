"""Index templates have the mappings of the contracts and the values of the settings."""

import pytest

from include.contracts.index_documents import INDICES
from include.contracts.settings import ElasticsearchSettings, Settings
from include.serving.templates import template_body


@pytest.mark.parametrize("alias", INDICES)
def test_template_body_has_mapping_and_alias_of_its_index(alias: str) -> None:
    body = template_body(alias, Settings().elasticsearch)
    assert body["index_patterns"] == [f"{alias}-*"]
    assert body["template"]["aliases"] == {alias: {}}
    assert body["template"]["mappings"]["dynamic"] == "strict"
    assert set(body["template"]["mappings"]["properties"]) == set(INDICES[alias].__struct_fields__)


def test_template_body_uses_the_settings() -> None:
    settings = Settings(
        elasticsearch=ElasticsearchSettings(shards=3, replicas=2, refresh_interval_s=7, translog_durability="async")
    )
    assert template_body("kpi_minute", settings.elasticsearch)["template"]["settings"]["index"] == {
        "number_of_shards": 3,
        "number_of_replicas": 2,
        "refresh_interval": "7s",
        "translog": {"durability": "async"},
    }


def test_template_body_without_interval_uses_the_default() -> None:
    assert (
        "refresh_interval" not in template_body("kpi_minute", Settings().elasticsearch)["template"]["settings"]["index"]
    )

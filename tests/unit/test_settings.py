"""Settings are read once, report all errors at once, and hide their secrets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.errors import SettingsError
from include.contracts.ports import Ports
from include.contracts.renamed_settings import RENAMED
from include.contracts.setting import Secret
from include.contracts.settings import (
    PREFIX,
    ElasticsearchSettings,
    GateSettings,
    KafkaSettings,
    LocalSettings,
    RedisSettings,
    Settings,
    all_settings,
)

KEY = "0123456789abcdef0123456789abcdef"


def test_defaults_follow_the_local_port_table() -> None:
    settings = Settings.from_env({})

    assert settings.kafka.bootstrap_servers == "127.0.0.1:19000"
    assert settings.redis.url.reveal() == "redis://127.0.0.1:19002/0"
    assert settings.elasticsearch.url == "http://127.0.0.1:19003"
    assert settings.flink.url == "http://127.0.0.1:19005"


def test_port_offset_shifts_ports_and_addresses() -> None:
    settings = Settings.from_env({"SHOWROOM_LOCAL_PORT_OFFSET": "300"})

    assert [after - before for before, after in zip(Ports(), settings.local.ports, strict=True)] == [300] * len(Ports())
    assert settings.kafka.bootstrap_servers == "127.0.0.1:19300"


def test_port_offset_does_not_change_explicit_address() -> None:
    settings = Settings.from_env(
        {"SHOWROOM_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "SHOWROOM_LOCAL_PORT_OFFSET": "300"}
    )

    assert settings.kafka.bootstrap_servers == "kafka:9092"


def test_ports_are_unique_across_stacks_a_hundred_apart() -> None:
    assert len(set(Ports())) == len(Ports())
    assert not set(Ports()) & set(Ports().shifted(100))


def test_invalid_settings_are_reported_in_one_error() -> None:
    environment = {
        "SHOWROOM_PARTITONS": "4",
        "SHOWROOM_KAFKA_PARTITIONS": "four",
        "SHOWROOM_KAFKA_REPLICATION_FACTOR": "0",
        "SHOWROOM_GATE_BATCH_SIZE": "20001",
        "SHOWROOM_GATE_MAX_CLICKS_PER_S": "nan",
        "SHOWROOM_ELASTICSEARCH_TRANSLOG_DURABILITY": "never",
        "SHOWROOM_REDIS_URL": "http://:hush@host",
        "SHOWROOM_LOCAL_PORT_OFFSET": "50",
    }

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environment)

    message = str(caught.value)
    assert "SHOWROOM_PARTITONS is unknown" in message
    assert "SHOWROOM_KAFKA_PARTITIONS is not of type int: 'four'" in message
    assert "SHOWROOM_KAFKA_REPLICATION_FACTOR is below 1" in message
    assert "SHOWROOM_GATE_BATCH_SIZE is above 20000" in message
    assert "SHOWROOM_GATE_MAX_CLICKS_PER_S is not a finite number" in message
    assert "SHOWROOM_ELASTICSEARCH_TRANSLOG_DURABILITY is not one of request, async" in message
    assert "SHOWROOM_REDIS_URL does not start with redis://, rediss:// or unix://" in message
    assert "hush" not in message
    assert "SHOWROOM_LOCAL_PORT_OFFSET is not a multiple of 100: 50" in message
    assert "\n" not in message


def test_names_without_prefix_are_ignored() -> None:
    assert Settings.from_env({"PATH": "/bin", "HOME": "/nowhere"}) == Settings()


@pytest.mark.parametrize(("key", "problem"), [("", "missing"), (KEY[:-1], "too short")])
def test_missing_or_short_pseudonym_key_raises(key: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"SHOWROOM_GATE_PSEUDONYM_KEY is {problem}") as caught:
        Settings(gate=GateSettings(pseudonym_key=Secret(key))).gate.require_pseudonym_key()

    assert not key or key not in str(caught.value)


def test_valid_pseudonym_key_is_returned() -> None:
    assert Settings(gate=GateSettings(pseudonym_key=Secret(KEY))).gate.require_pseudonym_key() == KEY.encode()


def test_secrets_never_print() -> None:
    settings = Settings(
        gate=GateSettings(pseudonym_key=Secret(KEY)), redis=RedisSettings(url=Secret("redis://:hush@host:1/0"))
    )

    printed = [repr(settings), str(settings), f"{settings.gate.pseudonym_key}", f"{settings.redis.url!s:>40}"]
    assert not [text for text in printed if KEY in text or "hush" in text]
    assert settings.gate.pseudonym_key.reveal() == KEY
    assert type(settings.gate.pseudonym_key.reveal()) is str


@given(
    offset=st.integers(0, 400).map(lambda hundreds: hundreds * 100),
    partitions=st.integers(1, 512),
    pace=st.floats(0.1, 1e6),
    key=st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    durability=st.sampled_from(["request", "async"]),
)
def test_child_environment_gives_equal_settings(
    offset: int, partitions: int, pace: float, key: str, durability: str
) -> None:
    settings = Settings(
        local=LocalSettings(state_dir=Path("some where/else"), port_offset=offset),
        kafka=KafkaSettings(partitions=partitions),
        gate=GateSettings(max_clicks_per_s=pace, pseudonym_key=Secret(key)),
        elasticsearch=ElasticsearchSettings(translog_durability=durability),
    )

    assert Settings.from_env(settings.to_env()) == settings


def test_settings_have_a_description() -> None:
    assert [item.variable for item in all_settings() if not item.metadata.get("meaning")] == []


def test_renamed_setting_error_has_the_new_name() -> None:
    with pytest.raises(SettingsError, match="SHOWROOM_GATE_BATCH is now SHOWROOM_GATE_BATCH_SIZE"):
        Settings.from_env({"SHOWROOM_GATE_BATCH": "100"})


def test_renamed_settings_map_to_existing_settings() -> None:
    existing = {item.variable.removeprefix(PREFIX) for item in all_settings()}
    assert set(RENAMED.values()) <= existing
    assert not set(RENAMED) & existing


def test_empty_text_is_the_default() -> None:
    assert (
        Settings.from_env({"SHOWROOM_KAFKA_PARTITIONS": "", "SHOWROOM_ELASTICSEARCH_TRANSLOG_DURABILITY": ""})
        == Settings()
    )


def test_number_of_many_digits_is_reported() -> None:
    with pytest.raises(SettingsError, match="SHOWROOM_GATE_BATCH_SIZE is above 20000"):
        Settings.from_env({"SHOWROOM_GATE_BATCH_SIZE": "9" * 400})

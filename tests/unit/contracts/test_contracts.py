"""Topics, keys, reject reasons, errors and metrics."""

import ast
import pickle
import sys
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from include.contracts import errors, redis_keys, topics
from include.contracts.metrics import METRICS, Stage
from include.contracts.ports import Ports
from include.contracts.reject_reasons import MEANING, Reason

CONTRACTS = Path(redis_keys.__file__).parent
FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ShowroomError)]
KEYS = [
    redis_keys.seen(3, 7),
    redis_keys.bloom_items(3),
    redis_keys.users_unique(3),
    redis_keys.users_unique(3, "2026-11-23"),
    redis_keys.seen_filter(3, 7),
    redis_keys.counts(3),
    redis_keys.heartbeat(3),
    redis_keys.blocked_users(3),
    redis_keys.blocked_networks(3),
]


def test_contracts_import_the_standard_library_and_msgspec_only() -> None:
    allowed = {*sys.stdlib_module_names, "msgspec"}
    for path in CONTRACTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name} imports relatively"
                names = [node.module or ""]
            for name in names:
                own = name == "include.contracts" or name.startswith("include.contracts.")
                assert own or name.split(".")[0] in allowed, f"{path.name} imports {name}"


def test_keys_of_one_partition_share_its_hash_tag() -> None:
    assert {key[key.index("{") : key.index("}") + 1] for key in KEYS} == {"{3}"}
    assert all(key.startswith(redis_keys.tag(3)) for key in KEYS)
    assert len(set(KEYS)) == len(KEYS)


def test_keys_of_partitions_differ() -> None:
    assert redis_keys.counts(1) != redis_keys.counts(11)
    assert redis_keys.tag(1) != redis_keys.tag(11)


def test_reject_reasons_have_distinct_descriptions() -> None:
    assert set(MEANING) == set(Reason)
    assert len(set(MEANING.values())) == len(Reason)
    assert all(reason.value == reason.name.lower() for reason in Reason)
    assert "valid" not in {reason.value for reason in Reason}


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
def test_topics_let_the_broker_stamp_time_and_bound_records(topic: topics.Topic) -> None:
    config = topic.config()
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["max.message.bytes"] == str(topics.MAX_MESSAGE_BYTES)
    if topic.compacted:
        assert config["cleanup.policy"] == "compact"
        assert "retention.ms" not in config
    else:
        assert config["cleanup.policy"] == "delete"
        assert int(config["retention.ms"]) == topic.retention_days * 24 * 3_600 * 1_000


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_topic_config_with_replicas_acknowledges_on_all_but_one(replication: int, in_sync: str) -> None:
    assert {topic.config(replication)["min.insync.replicas"] for topic in topics.TOPICS} == {in_sync}


def test_committed_offsets_outlive_every_record_they_cover() -> None:
    longest = max(topic.retention_days for topic in topics.TOPICS)
    assert longest + topics.SEGMENT_DAYS < topics.OFFSETS_RETENTION_DAYS


def test_topics_are_the_five_of_the_flow() -> None:
    retention = {topic.name: topic.retention_days for topic in topics.TOPICS if not topic.compacted}
    assert retention == {topics.RAW: 3, topics.VALID: 30, topics.REJECTED: 3, topics.DEAD: 30}
    assert [topic.name for topic in topics.TOPICS if topic.compacted] == [topics.KPI]
    assert retention[topics.REJECTED] <= retention[topics.RAW]


@pytest.mark.parametrize("kind", FAMILY)
def test_errors_have_a_remedy_and_are_picklable(kind: type[errors.ShowroomError]) -> None:
    error = kind("it is so", "do this")
    assert str(error) == "it is so: do this"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.message, copy.remedy) == ("it is so", "do this")


@pytest.mark.parametrize("kind", FAMILY)
def test_transient_errors_only_are_retried(kind: type[errors.ShowroomError]) -> None:
    assert kind.retry == issubclass(kind, errors.TransientError)
    assert not (issubclass(kind, errors.TransientError) and issubclass(kind, errors.TerminalError))


def test_metric_names_start_with_their_stage() -> None:
    assert all(metric.name.startswith(f"{metric.stage}.") for metric in METRICS)
    assert all(metric.stage in get_args(Stage) for metric in METRICS)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_ports_are_distinct_and_shift_as_one() -> None:
    ports = Ports()
    assert len(set(ports)) == len(ports)
    assert max(ports) - min(ports) < 100
    assert all(later - earlier == 100 for earlier, later in zip(ports, ports.shifted(100), strict=True))
    assert all(earlier < later for earlier, later in pairwise(ports))

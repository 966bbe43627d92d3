"""Settings: built once from the environment, at the edge, into one frozen object.

Every setting is `SHOWROOM_<FIELD>`. Unknown, missing and wrong ones are reported together.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from include.contracts.errors import SettingsError
from include.contracts.ports import Ports

PREFIX = "SHOWROOM_"
LOOPBACK = "127.0.0.1"
MIN_KEY_BYTES = 32
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
PORT_STEP = 100


class Secret(str):
    """A string that prints as stars; `reveal` gives the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def reveal(self) -> str:
        """The value itself, for the client that needs it."""
        return str.__str__(self)


def _setting(default: Any, meaning: str, *, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of all stages. Addresses left empty follow the local port table."""

    state_dir: Path = _setting(
        Path(".showroom/stack"), "where the local stack keeps data, logs and configuration; relative to the project"
    )
    port_offset: int = _setting(0, "shifts every port of the local stack; take a multiple of 100", low=0, high=40_000)
    kafka_bootstrap: str = _setting("", "Kafka bootstrap servers, host:port[,host:port]")
    redis_url: Secret = _setting(Secret(""), "Redis address, redis://[:password@]host:port/db")
    elasticsearch_url: str = _setting("", "Elasticsearch address, http(s)://host:port")
    elasticsearch_api_key: Secret = _setting(Secret(""), "Elasticsearch API key; empty without security")
    flink_url: str = _setting("", "Flink REST address")
    flink_jar: str = _setting("", "the project's jar for Flink; Airflow uploads it with the stream job")
    flink_project: str = _setting("", "the project's folder as the Flink cluster sees it")
    flink_state: str = _setting("", "folder of Flink's checkpoints and savepoints, as Airflow sees it")
    mongo_url: Secret = _setting(Secret(""), "MongoDB address, mongodb://[user:password@]host:port")
    mongo_database: str = _setting("showroom", "MongoDB database of the archive")
    airflow_url: str = _setting("", "Airflow's address, as a browser reaches it")
    mlflow_url: str = _setting("", "MLflow's address, as a browser reaches it")
    kibana_url: str = _setting("", "Kibana's address; empty: the dashboards are imported nowhere")
    alert_webhook: Secret = _setting(Secret(""), "address that alerts are posted to as JSON; empty: only the log")
    heartbeat_url: Secret = _setting(
        Secret(""), "address that gets a GET after each supervision cycle (dead man's switch); empty: none"
    )
    metrics_token: Secret = _setting(
        Secret(""), "bearer token of a Prometheus scraper for /showroom/metrics; empty: only Airflow's logins"
    )
    supervise_folder: str = _setting("", "folder of the supervisor's own files; empty: below the local stack's data")

    partitions: int = _setting(4, "partitions of each topic; fixed once the topics exist", low=1, high=512)
    replication: int = _setting(1, "replicas of each topic", low=1, high=9)

    pseudonym_key: Secret = _setting(
        Secret(""), "key of the user pseudonyms, at least 32 characters; the gate refuses to start without"
    )
    gate_processes: int = _setting(1, "gate processes of the local stack", low=1, high=64)
    gate_metrics_host: str = _setting("", "address the metrics of the gate processes listen on; empty: loopback")
    gate_batch: int = _setting(5_000, "records of one gate transaction at most", low=1, high=20_000)
    duplicate_window_s: int = _setting(86_400, "how long a session_id stays claimed", low=60, high=2_592_000)
    max_record_bytes: int = _setting(512 * 1024, "longest record the gate reads", low=1_024, high=4_000_000)
    future_clock_s: int = _setting(86_400, "how far started_at may lie after the broker's time", low=0)
    past_clock_days: int = _setting(7_300, "how far started_at may lie before the broker's time", low=1)
    max_clicks_per_s: float = _setting(10.0, "fastest pace of a person, clicks a second", low=0.1)
    rate_user_per_minute: int = _setting(20, "sessions of one user in one event minute", low=1)
    rate_network_per_minute: int = _setting(60, "sessions of one network in one event minute and partition", low=1)
    redis_max_memory_mb: int = _setting(
        640, "memory limit of Redis, MB; a full Redis makes the gate wait", low=32, high=1_000_000
    )
    users_expected: int = _setting(100_000, "users a partition's Bloom filter holds before it grows", low=100)

    parallelism: int = _setting(1, "parallelism of the Flink job", low=1, high=512)
    checkpoint_interval_s: int = _setting(10, "seconds between checkpoints of the Flink job", low=1, high=3_600)
    bulk_documents: int = _setting(4_000, "documents of one Elasticsearch bulk request at most", low=1, high=50_000)
    bundle_ms: int = _setting(250, "longest wait of a session for its bulk request to fill, ms", low=10, high=60_000)
    late_after_s: int = _setting(3_600, "a session that arrives later than this after its end counts as late", low=1)
    index_refresh_s: int = _setting(
        0, "seconds between refreshes of an index; 0: one, and none while nobody searches it", low=0, high=3_600
    )
    index_durability: str = _setting("request", "translog durability: request or async")
    index_shards: int = _setting(1, "shards of each monthly index", low=1, high=64)
    index_replicas: int = _setting(0, "replicas of each monthly index", low=0, high=9)
    index_months: int = _setting(13, "months of indices that serving_retention keeps", low=1, high=1_200)

    archive_batch: int = _setting(2_000, "sessions of one archive write at most", low=1, high=20_000)
    archive_workers: int = _setting(4, "most partitions that one load archives in parallel", low=1, high=64)
    archive_retention_days: int = _setting(
        400, "days an archived session is kept after its arrival; 0: for ever", low=0, high=36_500
    )
    synthetic_per_minute: float = _setting(60.0, "visits a minute that ingest_synthetic makes", low=0.1, high=100_000)
    synthetic_seed: int = _setting(20_261, "seed of the synthetic shop")
    supervise_restarts: int = _setting(3, "restarts of the stream within the window, then a page", low=1, high=100)
    supervise_window_s: int = _setting(900, "window of the restart budget", low=60, high=86_400)
    supervise_grace_s: int = _setting(60, "time a job that was just started gets to run", low=5, high=3_600)
    checkpoint_stalled_s: int = _setting(
        120, "age of the newest checkpoint that counts as stalled", low=10, high=86_400
    )
    gate_silent_s: int = _setting(30, "age of a gate heartbeat that counts as silent", low=2, high=3_600)
    lag_high: int = _setting(20_000, "records of lag that may grow without anything being wrong", low=1)
    canary_stale_s: int = _setting(60, "age of the newest indexed session, while input flows, that is wrong", low=5)
    archive_lag_alert_threshold: int = _setting(1_000_000, "archive lag that alerts, if runs do not reduce it", low=1)
    archive_timeout_s: int = _setting(
        900, "seconds that the archive may lag or make no progress before an alert fires", low=60, high=86_400
    )
    alert_again_s: int = _setting(3_600, "an alert that keeps firing is repeated after this", low=60, high=604_800)
    nightly_days: int = _setting(14, "days of sessions a nightly run learns from", low=2, high=400)
    nightly_runs: int = _setting(7, "nightly runs whose files are kept", low=1, high=1_000)
    batch_python: str = _setting("", "interpreter of the nightly batch, as Airflow sees it")
    batch_folder: str = _setting("", "folder of the nightly runs' files, as Airflow sees it")
    noise_key: Secret = _setting(
        Secret(""), "key of the private model's noise, at least 32 characters; without it nothing private is released"
    )

    def __post_init__(self) -> None:
        ports = self.ports
        derived: dict[str, Any] = {
            "kafka_bootstrap": f"{LOOPBACK}:{ports.kafka}",
            "redis_url": Secret(f"redis://{LOOPBACK}:{ports.redis}/0"),
            "elasticsearch_url": f"http://{LOOPBACK}:{ports.elasticsearch}",
            "flink_url": f"http://{LOOPBACK}:{ports.flink_rest}",
            "mongo_url": Secret(f"mongodb://{LOOPBACK}:{ports.mongodb}"),
            "airflow_url": f"http://{LOOPBACK}:{ports.airflow}",
            "mlflow_url": f"http://{LOOPBACK}:{ports.mlflow}",
        }
        for name, value in derived.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)

    @property
    def ports(self) -> Ports:
        """The local port table, shifted."""
        return Ports().shifted(self.port_offset)

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Settings out of a mapping such as `os.environ`; names without the prefix are ignored.

        Raises SettingsError that names every unknown and every wrong setting at once.
        """
        hints = get_type_hints(cls)
        existing = {PREFIX + item.name.upper(): item for item in fields(cls)}
        problems: list[str] = []
        values: dict[str, Any] = {}
        for name in sorted(environment):
            if not name.startswith(PREFIX):
                continue
            if name not in existing:
                problems.append(f"{name} is unknown")
                continue
            item = existing[name]
            try:
                values[item.name] = _parse(environment[name], hints[item.name], item)
            except ValueError as error:
                problems.append(f"{name} {error}")
        if problems:
            raise SettingsError("; ".join(problems), "see docs/contracts.md, Settings")
        return cls(**values)

    def to_env(self) -> dict[str, str]:
        """The environment that makes an equal object, secrets included: for child processes."""
        return {PREFIX + item.name.upper(): _text(getattr(self, item.name)) for item in fields(self)}

    def require_pseudonym_key(self) -> bytes:
        """The key of the pseudonyms; SettingsError where it is missing or short."""
        key = self.pseudonym_key.reveal().encode()
        if len(key) < MIN_KEY_BYTES:
            raise SettingsError(
                f"{PREFIX}PSEUDONYM_KEY is {'too short' if key else 'missing'}",
                f"set it to at least {MIN_KEY_BYTES} random characters and keep it: another key makes other pseudonyms",
            )
        return key

    def replace(self, **changes: Any) -> "Settings":
        """A copy with some values changed."""
        return dataclasses.replace(self, **changes)


def _text(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def _parse(text: str, hint: type, item: "dataclasses.Field[Any]") -> Any:
    """One value; ValueError says what is wrong without repeating a secret."""
    if item.name == "redis_url" and text and not text.startswith(REDIS_SCHEMES):
        raise ValueError("is no address like redis://host:port/db")
    if hint is Secret:
        return Secret(text)
    if hint is Path:
        return Path(text)
    try:
        value: Any = msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError:
        raise ValueError(f"is not of type {hint.__name__}: {text!r}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"is not a finite number: {text}")
    low, high = item.metadata["low"], item.metadata["high"]
    if low is not None and value < low:
        raise ValueError(f"is below {low:g}: {text}")
    if high is not None and value > high:
        raise ValueError(f"is above {high:g}: {text}")
    if item.name == "port_offset" and value % PORT_STEP:
        raise ValueError(f"is no multiple of {PORT_STEP}: {text}")
    if item.name == "index_durability" and value not in ("request", "async"):
        raise ValueError(f"is neither request nor async: {text!r}")
    return value

"""Settings: read once from the environment, at the edge, into one frozen object with a part for each stage and server.

`settings.gate.batch_size` is `SHOWROOM_GATE_BATCH_SIZE`. Code receives the part that it needs. Unknown and invalid
settings are reported together.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from include.contracts.errors import SettingsError
from include.contracts.ports import Ports
from include.contracts.renamed_settings import RENAMED
from include.contracts.setting import Secret, parse, setting, text_of

PREFIX = "SHOWROOM_"
LOOPBACK = "127.0.0.1"
MIN_KEY_BYTES = 32
PORT_STEP = 100


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    """The stack that runs on one machine without containers."""

    state_dir: Path = setting(
        Path(".showroom/stack"), "folder of the local stack's data, logs and configuration; relative to the project"
    )
    port_offset: int = setting(
        0, "shifts every port of the local stack; a multiple of 100", low=0, high=40_000, step=PORT_STEP
    )

    @property
    def ports(self) -> Ports:
        """The port table, shifted."""
        return Ports().shifted(self.port_offset)


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """Kafka's address and the shape of the topics."""

    bootstrap_servers: str = setting("", "Kafka bootstrap servers, host:port[,host:port]")
    partitions: int = setting(4, "partitions of each topic; fixed once the topics exist", low=1, high=512)
    replication_factor: int = setting(1, "replicas of each topic", low=1, high=9)


@dataclass(frozen=True, kw_only=True)
class RedisSettings:
    """Redis's address and its memory limit."""

    url: Secret = setting(
        Secret(""),
        "Redis address, redis://[:password@]host:port/db",
        prefixes=("redis://", "rediss://", "unix://"),
    )
    max_memory_mb: int = setting(
        640, "memory limit of Redis, MB; while Redis is full the gate waits", low=32, high=1_000_000
    )


@dataclass(frozen=True, kw_only=True)
class ElasticsearchSettings:
    """Elasticsearch's address and the settings of the monthly indices."""

    url: str = setting("", "Elasticsearch address, http(s)://host:port")
    api_key: Secret = setting(Secret(""), "Elasticsearch API key; empty without security")
    refresh_interval_s: int = setting(
        0,
        "seconds between refreshes of an index; 0: Elasticsearch's default (one second while it is searched)",
        low=0,
        high=3_600,
    )
    translog_durability: str = setting("request", "translog durability", choices=("request", "async"))
    shards: int = setting(1, "primary shards of each monthly index", low=1, high=64)
    replicas: int = setting(0, "replicas of each monthly index", low=0, high=9)
    retention_months: int = setting(13, "months of indices that serving_retention retains", low=1, high=1_200)


@dataclass(frozen=True, kw_only=True)
class FlinkSettings:
    """Flink's address and the folders that Airflow and the cluster share."""

    url: str = setting("", "Flink REST address")
    jar: str = setting("", "the project's jar for Flink; Airflow uploads it with the stream job")
    project_dir: str = setting("", "the project's folder as the Flink cluster sees it")
    state_dir: str = setting("", "folder of Flink's checkpoints and savepoints, as Airflow sees it")


@dataclass(frozen=True, kw_only=True)
class MongodbSettings:
    """The archive's database."""

    url: Secret = setting(Secret(""), "MongoDB address, mongodb://[user:password@]host:port")
    database: str = setting("showroom", "MongoDB database of the archive")


@dataclass(frozen=True, kw_only=True)
class AirflowSettings:
    """Airflow as its users and scrapers reach it."""

    url: str = setting("", "Airflow's address, as a browser reaches it")
    metrics_token: Secret = setting(
        Secret(""), "bearer token of a Prometheus scraper for /showroom/metrics; empty: only Airflow's logins"
    )


@dataclass(frozen=True, kw_only=True)
class MlflowSettings:
    """MLflow as its users and the batch reach it."""

    url: str = setting("", "MLflow's address, as a browser reaches it")


@dataclass(frozen=True, kw_only=True)
class KibanaSettings:
    """Kibana as its users reach it."""

    url: str = setting("", "Kibana's address; empty: no dashboards are imported")


@dataclass(frozen=True, kw_only=True)
class IngestSettings:
    """The synthetic shop that `ingest_synthetic` runs."""

    sessions_per_minute: float = setting(
        60.0, "sessions per minute that ingest_synthetic generates", low=0.1, high=100_000
    )
    seed: int = setting(20_261, "seed of the synthetic shop")


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """The gate's processes and the limits of its validation."""

    pseudonym_key: Secret = setting(
        Secret(""), "key of the user pseudonyms, at least 32 characters; the gate does not start without it"
    )
    processes: int = setting(1, "gate processes of the local stack", low=1, high=64)
    metrics_host: str = setting("", "address on which the gate's metrics listen; empty: loopback")
    batch_size: int = setting(5_000, "maximum records of one gate transaction", low=1, high=20_000)
    duplicate_window_s: int = setting(86_400, "duplicate window of a session_id", low=60, high=2_592_000)
    max_record_bytes: int = setting(512 * 1024, "longest record that the gate decodes", low=1_024, high=4_000_000)
    max_future_s: int = setting(86_400, "maximum of started_at after the broker's time", low=0)
    max_past_days: int = setting(7_300, "maximum of started_at before the broker's time", low=1)
    max_clicks_per_s: float = setting(10.0, "maximum clicks per second of a session", low=0.1)
    max_user_sessions_per_minute: int = setting(20, "maximum sessions of one user in one event minute", low=1)
    max_network_sessions_per_minute: int = setting(
        60, "maximum sessions of one network in one event minute and partition", low=1
    )
    bloom_capacity: int = setting(100_000, "initial capacity of a partition's Bloom filter, users", low=100)

    def require_pseudonym_key(self) -> bytes:
        """Return the key of the pseudonyms.

        Raises:
            SettingsError: The key is missing or too short.
        """
        key = self.pseudonym_key.reveal().encode()
        if len(key) < MIN_KEY_BYTES:
            raise SettingsError(
                f"{PREFIX}GATE_PSEUDONYM_KEY is {'too short' if key else 'missing'}",
                f"set it to at least {MIN_KEY_BYTES} random characters and keep it: another key gives other pseudonyms",
            )
        return key


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """The Flink job."""

    parallelism: int = setting(1, "parallelism of the Flink job", low=1, high=512)
    checkpoint_interval_s: int = setting(10, "seconds between checkpoints of the Flink job", low=1, high=3_600)
    bulk_max_documents: int = setting(4_000, "maximum documents of one Elasticsearch bulk request", low=1, high=50_000)
    bulk_flush_ms: int = setting(
        250, "maximum time that a session waits for its bulk request to fill, ms", low=10, high=60_000
    )
    lateness_threshold_s: int = setting(
        3_600, "a session that arrives later than this after its end counts as late", low=1
    )


@dataclass(frozen=True, kw_only=True)
class ArchiveSettings:
    """The loads into MongoDB and its retention."""

    batch_size: int = setting(2_000, "maximum sessions of one archive write", low=1, high=20_000)
    workers: int = setting(4, "maximum partitions that one load archives in parallel", low=1, high=64)
    retention_days: int = setting(
        400, "days that an archived session is retained after its arrival; 0: unlimited", low=0, high=36_500
    )


@dataclass(frozen=True, kw_only=True)
class SuperviseSettings:
    """Where alerts go, the restart budget and the thresholds of the alert rules."""

    state_dir: str = setting("", "folder of the supervisor's files; empty: below the local stack's data")
    alert_webhook: Secret = setting(Secret(""), "address that receives alerts as JSON; empty: only the log")
    heartbeat_url: Secret = setting(
        Secret(""), "address that receives a GET after each supervision cycle (dead man's switch); empty: none"
    )
    max_restarts: int = setting(3, "restarts of the stream within the window before an alert fires", low=1, high=100)
    restart_window_s: int = setting(900, "window of the restart budget", low=60, high=86_400)
    startup_grace_s: int = setting(60, "grace after the start of a job, before restarts and alerts", low=5, high=3_600)
    checkpoint_timeout_s: int = setting(
        120, "age of the newest checkpoint from which the job counts as stalled", low=10, high=86_400
    )
    gate_heartbeat_timeout_s: int = setting(
        30, "age of a gate heartbeat from which the gate counts as down", low=2, high=3_600
    )
    lag_alert_threshold: int = setting(20_000, "lag above which growth fires an alert", low=1)
    freshness_alert_s: int = setting(
        60, "age of the newest indexed session, while input flows, that fires an alert", low=5
    )
    archive_lag_alert_threshold: int = setting(
        1_000_000, "archive lag that fires an alert if loads do not reduce it", low=1
    )
    archive_stall_timeout_s: int = setting(
        900, "seconds without progress of the archive before an alert fires", low=60, high=86_400
    )
    alert_repeat_interval_s: int = setting(
        3_600, "interval at which an alert that keeps firing is repeated", low=60, high=604_800
    )


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """The nightly run."""

    window_days: int = setting(14, "days of sessions that a nightly run trains on", low=2, high=400)
    runs_retained: int = setting(7, "nightly runs whose files are retained", low=1, high=1_000)
    python: str = setting("", "interpreter of the nightly batch, as Airflow sees it")
    runs_dir: str = setting("", "folder of the nightly runs' files, as Airflow sees it")
    noise_key: Secret = setting(
        Secret(""), "key of the private model's noise, at least 32 characters; without it no private model is released"
    )


class Setting(NamedTuple):
    """One setting: its part and field, the type of its value, and the metadata that `setting` gave it."""

    part: str
    name: str
    hint: type
    default: Any
    metadata: Mapping[str, Any]

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{PREFIX}{self.part}_{self.name}".upper()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, by stage and server. Addresses left empty follow the local port table."""

    local: LocalSettings = field(default_factory=LocalSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    elasticsearch: ElasticsearchSettings = field(default_factory=ElasticsearchSettings)
    flink: FlinkSettings = field(default_factory=FlinkSettings)
    mongodb: MongodbSettings = field(default_factory=MongodbSettings)
    airflow: AirflowSettings = field(default_factory=AirflowSettings)
    mlflow: MlflowSettings = field(default_factory=MlflowSettings)
    kibana: KibanaSettings = field(default_factory=KibanaSettings)
    ingest: IngestSettings = field(default_factory=IngestSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    supervise: SuperviseSettings = field(default_factory=SuperviseSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)

    def __post_init__(self) -> None:
        ports = self.local.ports
        local_addresses: dict[tuple[str, str], str] = {
            ("kafka", "bootstrap_servers"): f"{LOOPBACK}:{ports.kafka}",
            ("redis", "url"): Secret(f"redis://{LOOPBACK}:{ports.redis}/0"),
            ("elasticsearch", "url"): f"http://{LOOPBACK}:{ports.elasticsearch}",
            ("flink", "url"): f"http://{LOOPBACK}:{ports.flink_rest}",
            ("mongodb", "url"): Secret(f"mongodb://{LOOPBACK}:{ports.mongodb}"),
            ("airflow", "url"): f"http://{LOOPBACK}:{ports.airflow}",
            ("mlflow", "url"): f"http://{LOOPBACK}:{ports.mlflow}",
        }
        for (part, name), address in local_addresses.items():
            current = getattr(self, part)
            if not getattr(current, name):
                object.__setattr__(self, part, dataclasses.replace(current, **{name: address}))

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Build the settings from a mapping such as `os.environ`; an empty text is the default.

        Names without the prefix are ignored.

        Raises:
            SettingsError: It names every unknown, renamed and invalid setting at once.
        """
        known = {item.variable: item for item in all_settings()}
        problems: list[str] = []
        values: dict[str, dict[str, Any]] = {}
        for variable in sorted(name for name in environment if name.startswith(PREFIX)):
            item = known.get(variable)
            if item is None:
                problems.append(_unknown(variable))
                continue
            if not environment[variable]:
                continue  # as Compose passes a variable that .env sets to nothing
            try:
                value = parse(environment[variable], item.hint, item.metadata)
            except ValueError as error:
                problems.append(f"{variable} {error}")
                continue
            values.setdefault(item.part, {})[item.name] = value
        if problems:
            raise SettingsError("; ".join(problems), "see docs/settings.md")
        return cls(**{part: _PARTS[part](**given) for part, given in values.items()})

    def to_env(self) -> dict[str, str]:
        """Return the environment that builds equal settings, secrets included: for child processes."""
        return {item.variable: text_of(getattr(getattr(self, item.part), item.name)) for item in all_settings()}

    def replace(self, **changes: Mapping[str, Any]) -> "Settings":
        """Return a copy with changed values, by part: `settings.replace(kafka={"partitions": 2})`."""
        return dataclasses.replace(
            self, **{part: dataclasses.replace(getattr(self, part), **values) for part, values in changes.items()}
        )


_PARTS: dict[str, type] = get_type_hints(Settings)


def all_settings() -> Iterator[Setting]:
    """Every setting, in the order of the parts and their fields."""
    for part, kind in _PARTS.items():
        hints = get_type_hints(kind)
        for item in fields(kind):
            yield Setting(part, item.name, hints[item.name], item.default, item.metadata)


def _unknown(variable: str) -> str:
    renamed = RENAMED.get(variable.removeprefix(PREFIX))
    return f"{variable} is now {PREFIX}{renamed}" if renamed else f"{variable} is unknown"

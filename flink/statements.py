"""SQL of the stream job, as text. Pure functions, without Flink."""

from flink.schema import INSTANT, flink_columns
from include.contracts.index_documents import KPI_ALL, KpiMinute
from include.contracts.session import VERSION, ValidSession
from include.contracts.settings import KafkaSettings, StreamSettings
from include.contracts.topics import DEAD, KPI, KPI_GROUP, KPI_ROWS_GROUP, MAX_MESSAGE_BYTES, STREAM_GROUP, VALID

INDEX_SESSIONS = "index_sessions"
INDEX_KPI = "index_kpi"
KPI_COLUMNS = (
    "v",
    "session_id",
    "user_id",
    "started_at",
    "ended_at",
    "received_at",
    "duration_s",
    "categories",
    "purchase",
)

_RAW_COLUMNS = "`value` BYTES, `partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL"
_MINUTE_CHARACTERS = len("2026-11-23T08:15:00Z")
_DAY_CHARACTERS = len("2026-11-23")
_AROUND_CATEGORY = _MINUTE_CHARACTERS + _DAY_CHARACTERS + len("||")


def tables(settings: KafkaSettings) -> list[str]:
    """Return the CREATE statements of all sources and sinks.

    Each source has its own consumer group, because sources of the same topic commit different offsets.
    """
    raw = {"value.format": "raw"}
    json = {
        "value.format": "json",
        "value.json.ignore-parse-errors": "true",
        "value.json.timestamp-format.standard": "ISO-8601",
    }
    sessions = flink_columns(ValidSession, KPI_COLUMNS)
    # Because JSON has no timestamps, the minute is a string in the format of the index.
    states = flink_columns(KpiMinute).replace(INSTANT, "STRING")
    return [
        _table("valid_records", _RAW_COLUMNS, _source(settings, VALID, STREAM_GROUP, "group-offsets") | raw),
        # Because a start without state recounts the minutes, read all retained records.
        _table("valid_sessions", sessions, _source(settings, VALID, KPI_GROUP, "earliest-offset") | json),
        _table("kpi_records", _RAW_COLUMNS, _source(settings, KPI, KPI_ROWS_GROUP, "group-offsets") | raw),
        _table("kpi_states", f"id STRING, {states}, PRIMARY KEY (id) NOT ENFORCED", _upsert(settings)),
        _table("dead_letters", "letter STRING", _kafka(settings, DEAD) | {"format": "raw"} | _PRODUCER),
    ]


def inserts(settings: StreamSettings) -> list[str]:
    """Return the INSERT statements of the job, one per pipeline."""
    return [
        _dead_letters("valid_records", INDEX_SESSIONS),
        _kpi(settings),
        _dead_letters("kpi_records", INDEX_KPI),
    ]


def kpi_query(settings: StreamSettings) -> str:
    """Return an updating query over `valid_sessions` for rows of KpiMinute, preceded by their id.

    The id contains the arrival date, so a late session adds a row and state older than the topic's retention can
    expire. Amounts are summed as decimals, so that the sum does not depend on the order of arrival.
    """
    return f"""
SELECT id,
  SUBSTRING(id FROM 1 FOR {_MINUTE_CHARACTERS}) AS `minute`,
  SUBSTRING(id FROM {_MINUTE_CHARACTERS + 2} FOR CHAR_LENGTH(id) - {_AROUND_CATEGORY}) AS category,
  SUBSTRING(id FROM CHAR_LENGTH(id) - {_DAY_CHARACTERS - 1}) AS arrival_date,
  sessions, users, purchases, revenue, duration_s,
  CAST(duration_s AS DOUBLE) / sessions AS mean_duration_s,
  CAST(purchases AS DOUBLE) / sessions AS conversion,
  late_sessions
FROM (
  SELECT id,
    COUNT(*) AS sessions,
    COUNT(DISTINCT user_id) AS users,
    COUNT(*) FILTER (WHERE made) AS purchases,
    CAST(SUM(amount) AS DOUBLE) AS revenue,
    SUM(duration_s) AS duration_s,
    COUNT(*) FILTER (WHERE late) AS late_sessions
  FROM (
    SELECT session_minute || '|' || category || '|' || arrival_date AS id, user_id, made, amount, duration_s, late
    FROM (
      SELECT
        DATE_FORMAT(started_at, 'yyyy-MM-dd''T''HH:mm:00''Z''') AS session_minute,
        DATE_FORMAT(received_at, 'yyyy-MM-dd') AS arrival_date,
        ARRAY_UNION(categories, ARRAY['{KPI_ALL}']) AS counted_in,
        user_id, duration_s,
        purchase.made AS made,
        CAST(purchase.amount AS DECIMAL(18, 4)) AS amount,
        TIMESTAMPDIFF(SECOND, ended_at, received_at) > {settings.lateness_threshold_s} AS late
      FROM valid_sessions
      WHERE v = {VERSION} AND session_id IS NOT NULL AND user_id IS NOT NULL
        AND started_at IS NOT NULL AND ended_at IS NOT NULL AND received_at IS NOT NULL
        AND duration_s IS NOT NULL AND categories IS NOT NULL
        AND purchase.made IS NOT NULL AND purchase.amount IS NOT NULL
    ) CROSS JOIN UNNEST(counted_in) AS viewed(category)
  ) GROUP BY id
)"""


def _kpi(settings: StreamSettings) -> str:
    return f"INSERT INTO kpi_states {kpi_query(settings)}"


def _dead_letters(source: str, function: str) -> str:
    return f"""
INSERT INTO dead_letters
SELECT letter
FROM (SELECT {function}(`value`, `partition`, `offset`) AS letters FROM {source})
CROSS JOIN UNNEST(letters) AS dead(letter)"""


def _table(name: str, columns: str, options: dict[str, str]) -> str:
    listed = ",\n  ".join(f"'{key}' = '{_quoted(value)}'" for key, value in options.items())
    return f"CREATE TEMPORARY TABLE {name} (\n  {columns}\n) WITH (\n  {listed}\n)"


def _kafka(settings: KafkaSettings, topic: str) -> dict[str, str]:
    return {"connector": "kafka", "topic": topic, "properties.bootstrap.servers": settings.bootstrap_servers}


def _source(settings: KafkaSettings, topic: str, group: str, start: str) -> dict[str, str]:
    return _kafka(settings, topic) | {
        "properties.group.id": group,
        "properties.auto.offset.reset": "earliest",
        "properties.isolation.level": "read_committed",
        "scan.startup.mode": start,
    }


_PRODUCER = {
    "sink.delivery-guarantee": "at-least-once",
    "properties.max.request.size": str(MAX_MESSAGE_BYTES),
}


def _upsert(settings: KafkaSettings) -> dict[str, str]:
    return (
        _kafka(settings, KPI)
        | _PRODUCER
        | {
            "connector": "upsert-kafka",
            "key.format": "raw",
            "value.format": "json",
            "value.json.encode.decimal-as-plain-number": "true",
            "value.fields-include": "EXCEPT_KEY",
        }
    )


def _quoted(value: str) -> str:
    return value.replace("'", "''")

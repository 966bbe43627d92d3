"""`python -m include.provision`: provision the servers before the stages start in containers.

Waits for Kafka and Elasticsearch. Then ensures the topics, the index templates and, if security is enabled, the
passwords and API keys of `include.provision.api_keys`. Idempotent.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from elasticsearch import Elasticsearch
from tenacity import RetryCallState, wait_fixed

from include.clients import elasticsearch, kafka
from include.clients.errors import with_retries
from include.contracts.errors import SettingsError, ShowroomError, TransientError
from include.contracts.settings import ElasticsearchSettings, KafkaSettings, Settings
from include.provision.api_keys import Logins, ensure_access
from include.provision.topics import ensure_topics
from include.serving.templates import ensure_templates

DEADLINE_S = 180.0
RETRY_INTERVAL_S = 1.0
MIN_KIBANA_KEY_CHARACTERS = 32

_log = logging.getLogger("showroom.prepare")
_T = TypeVar("_T")


def provision(settings: Settings, logins: Logins | None = None, deadline_s: float = DEADLINE_S) -> None:
    """Ensure topics, index templates and, with `logins`, the password and API keys of Elasticsearch.

    Raises:
        TransientError: A server is unavailable past the deadline.
        TerminalError: A server rejects a request.
    """
    created = _with_retries(lambda: _topics(settings.kafka), deadline_s)
    _log.info("topics exist; created: %s", ", ".join(created) or "none")
    with _client(settings.elasticsearch, logins) as client:
        _with_retries(lambda: _require_health(client), deadline_s)
        ensure_templates(client, settings.elasticsearch)
        _log.info("index templates exist")
        if logins is not None:
            created = ensure_access(client, settings.elasticsearch, logins)
            _log.info("Kibana's password is set, API keys exist; created: %s", ", ".join(created) or "none")


def _client(settings: ElasticsearchSettings, logins: Logins | None) -> Elasticsearch:
    if logins is None:
        return elasticsearch.connect(settings)
    login = ("elastic", logins.elastic.reveal())
    return elasticsearch.open_client(settings.url, login=login)


def _topics(settings: KafkaSettings) -> list[str]:
    with kafka.translate_errors("creation of the topics", settings.bootstrap_servers, "check that it runs"):
        return ensure_topics(settings)


def _require_health(client: Elasticsearch) -> None:
    with elasticsearch.translate_errors("cluster health"):
        status = client.cluster.health()["status"]
    if status not in ("yellow", "green"):
        raise TransientError(f"Elasticsearch's health is {status}", "see its log")


def _with_retries(call: Callable[[], _T], deadline_s: float) -> _T:
    return with_retries(call, wait=wait_fixed(RETRY_INTERVAL_S), deadline_s=deadline_s, before_sleep=_on_progress)


def _on_progress(state: RetryCallState) -> None:
    _log.info("waiting: %s", state.outcome.exception() if state.outcome else "")


def read_logins(environment: Mapping[str, str]) -> Logins | None:
    """Read the logins from an environment; return None without ELASTIC_PASSWORD.

    Raises:
        SettingsError: A login is missing or a key is too short.
    """
    names = ("ELASTIC_PASSWORD", "KIBANA_SYSTEM_PASSWORD", "STREAM_KEY_FILE", "AIRFLOW_KEY_FILE")
    if not environment.get(names[0]):
        return None
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} not set beside {names[0]}", "see .env.example")
    if len(environment.get("KIBANA_ENCRYPTION_KEY", "")) < MIN_KIBANA_KEY_CHARACTERS:
        # Because Kibana would restart in a loop, and only its own log would have the reason.
        raise SettingsError(
            f"KIBANA_ENCRYPTION_KEY has fewer than {MIN_KIBANA_KEY_CHARACTERS} characters", "see .env.example"
        )
    elastic, kibana, stream, airflow = (environment[name] for name in names)
    return Logins.from_strings(
        elastic=elastic, kibana_system=kibana, stream_key_file=Path(stream), airflow_key_file=Path(airflow)
    )


def main() -> int:
    """Provision the servers that the environment names; return the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    for noisy in ("kafka", "elastic_transport"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        provision(Settings.from_env(os.environ), read_logins(os.environ))
    except ShowroomError as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

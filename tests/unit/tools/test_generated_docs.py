"""The generated files match the contracts, and drift is reported."""

import json
from pathlib import Path

import pytest

from include.contracts.index_documents import INDICES, mapping
from include.contracts.metrics import METRICS
from include.contracts.ports import Ports
from include.contracts.reject_reasons import MEANING, Reason
from include.contracts.setting import Secret
from include.contracts.settings import PREFIX, Settings, all_settings
from include.contracts.topics import TOPICS
from include.supervise.alerts import ALERTS
from include.supervise.rules import ALERT_RULES, RESTART_RULES
from tools.generated_docs import CONTAINER_SECRETS, PROJECT, drift, generate

NAMES = {
    "docs/alerts.md",
    "docs/contracts.md",
    "docs/dags.md",
    "docs/metrics.md",
    "docs/results.md",
    "docs/panels.md",
    "docs/settings.md",
    "include/dashboards/generated/kibana.ndjson",
    "include/dashboards/generated/panels.json",
    "docs/schema/session-1.json",
    "docs/schema/valid_session-1.json",
    ".env.example",
}


SECRETS = (
    "AIRFLOW_METRICS_TOKEN",
    "GATE_PSEUDONYM_KEY",
    "SUPERVISE_ALERT_WEBHOOK",
    "SUPERVISE_HEARTBEAT_URL",
    "BATCH_NOISE_KEY",
)


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    generate(tmp_path)
    return tmp_path


def test_repository_has_current_generated_files() -> None:
    assert drift(PROJECT) == []


def test_drift_of_empty_folder_lists_every_file(tmp_path: Path) -> None:
    assert set(drift(tmp_path)) == NAMES


def test_drift_lists_the_edited_file_only(generated: Path) -> None:
    assert drift(generated) == []
    path = generated / "docs/contracts.md"
    path.write_text(path.read_text() + "\n")
    assert drift(generated) == ["docs/contracts.md"]


def test_generate_twice_gives_equal_files(generated: Path) -> None:
    first = {name: (generated / name).read_bytes() for name in NAMES}
    generate(generated)
    assert {name: (generated / name).read_bytes() for name in NAMES} == first


def test_contracts_name_everything(generated: Path) -> None:
    text = (generated / "docs/contracts.md").read_text()
    rows = {line for line in text.splitlines() if line.startswith("| ")}
    for reason in Reason:
        assert f"| `{reason.value}` | {MEANING[reason]} |" in rows
    for topic in TOPICS:
        assert any(row.startswith(f"| `{topic.name}` |") and row.endswith(f"| {topic.holds} |") for row in rows)
    for alias, document in INDICES.items():
        section = text.split(f"### {alias}\n")[1].split("\n## ")[0].split("\n### ")[0]
        for field, property_ in mapping(document)["properties"].items():
            assert f"| `{field}` | {property_['type']} |" in section
    for metric in METRICS:
        assert f"| `{metric.name}` |" in (generated / "docs/metrics.md").read_text()
    for server, port in Ports()._asdict().items():
        assert f"| {server} | {port} |" in rows


def test_alerts_page_links_every_alert_to_its_runbook(generated: Path) -> None:
    text = (generated / "docs/alerts.md").read_text()
    for name, alert in ALERTS.items():
        assert f"[`{name}`](runbooks/{alert.runbook}.md#{name.replace('.', '')})" in text
    for rule in (*RESTART_RULES, *ALERT_RULES):
        assert any(f"[`{rule.alert}`]" in line and f"| {rule.action} |" in line for line in text.splitlines())


def test_settings_table_is_complete_without_secret_defaults(generated: Path) -> None:
    text = (generated / "docs/settings.md").read_text()
    for item in all_settings():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{item.variable}` |"))
        assert item.metadata["meaning"] in row
        assert ("none: a secret" in row) == isinstance(item.default, Secret)


def test_example_environment_sets_empty_secrets_only(generated: Path) -> None:
    lines = (generated / ".env.example").read_text().splitlines()
    assigned = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert assigned == dict.fromkeys([*CONTAINER_SECRETS, *(f"{PREFIX}{name}" for name in SECRETS)], "")
    for item in all_settings():
        assert any(line.lstrip("# ").startswith(f"{item.variable}=") for line in lines)


def test_uncommented_example_environment_gives_the_defaults(generated: Path) -> None:
    lines = [line.removeprefix("# ") for line in (generated / ".env.example").read_text().splitlines()]
    assigned = dict(line.split("=", 1) for line in lines if line.startswith(PREFIX))
    assert Settings.from_env(assigned) == Settings()


@pytest.mark.parametrize("name", ["session", "valid_session"])
def test_schemas_are_closed_and_name_their_dialect(generated: Path, name: str) -> None:
    schema = json.loads((generated / f"docs/schema/{name}-1.json").read_text())
    assert schema["$schema"].startswith("https://json-schema.org/")
    for definition in schema["$defs"].values():
        assert definition["additionalProperties"] is False
        assert set(definition["required"]) == set(definition["properties"])

"""Completeness of the documentation: each DAG, setting, metric and alert. mkdocs checks its links."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from include.contracts.metrics import METRICS
from include.contracts.settings import PREFIX, all_settings
from include.supervise.alerts import ALERTS
from local.project import ROOT
from tools.alert_reference import OTHER_ALERTS
from tools.dag_reference import read

CODE = ("config", "include", "dags", "plugins", "flink", "docker", "benchmarks", "drills", "local", "cli", "tools")
REQUIRED_PHRASES = ("**Run again:**",)
"""Phrases that the text of every DAG must contain."""

_FENCE = re.compile(r"^```.*?^```[^\S\n]*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_DOCUMENT = re.compile(r"\bdocs/[\w/-]+\.md\b")
_SETTING = re.compile(rf"\b{PREFIX}[A-Z0-9]+(?:_[A-Z0-9]+)*\b")
_FIGURE = re.compile(r"""StageMetric\(\s*name=["']([a-z]+\.[a-z0-9_]+)["']""")
_ALERT = re.compile(r"[a-z]+\.[a-z_]+")


def complaints(root: Path = ROOT) -> list[str]:
    """Return the gaps in the documentation of the project below `root`, one per line."""
    pages = _pages(root)
    return [
        *_named_pages(root),
        *_dags(root),
        *_settings(root, pages),
        *_metrics(root),
        *_alerts(root),
    ]


def _pages(root: Path) -> dict[Path, str]:
    """The project's own pages, by path."""
    paths = [*root.glob("*.md"), *(path for folder in ("docs", *CODE) for path in (root / folder).rglob("*.md"))]
    return {path: path.read_text(encoding="utf-8") for path in sorted(paths)}


def _sources(root: Path) -> Iterator[tuple[Path, str]]:
    paths = [path for folder in CODE for path in (root / folder).rglob("*.py")]
    for path in sorted(paths):
        yield path.relative_to(root), path.read_text(encoding="utf-8")


def _named_pages(root: Path) -> Iterator[str]:
    """Require each page that code names, in a docstring or an error, to exist."""
    for source, text in _sources(root):
        for name in sorted(set(_DOCUMENT.findall(text))):
            if not (root / name).is_file():
                yield f"{source}: names {name}, which does not exist"


def _dags(root: Path) -> Iterator[str]:
    """Require a text, a section in the reference and a row in the README for each DAG, and no other rows there."""
    reference, readme = _text(root / "docs/dags.md"), _text(root / "README.md")
    section = readme.partition("## Airflow\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    existing = {dag.name: dag for dag in read(root / "dags")}
    for name, dag in existing.items():
        if not dag.document:
            yield f"the DAG {name} is undocumented: it has no doc_md"
        elif missing := [words for words in REQUIRED_PHRASES if words not in dag.document]:
            yield f"the DAG {name} is undocumented: its doc_md lacks {', '.join(missing)}"
        if f"\n## {name}\n" not in reference:
            yield f"the DAG {name} is undocumented: docs/dags.md has no section for it"
        if name not in listed:
            yield f"the DAG {name} is undocumented: README.md, Airflow, has no row for it"
    yield from (
        f"README.md, Airflow, names the DAG {name}, which does not exist" for name in sorted(listed - set(existing))
    )


def _settings(root: Path, pages: dict[Path, str]) -> Iterator[str]:
    """Require a row for each setting, and a declaration for each setting name in pages and code."""
    table = _text(root / "docs/settings.md")
    existing = {item.variable: str(item.metadata["meaning"]) for item in all_settings()}
    for name, meaning in existing.items():
        if not meaning or f"| `{name}` |" not in table:
            yield f"the setting {name} is undocumented: docs/settings.md has no row for it"
    named = [(path.relative_to(root), text) for path, text in pages.items() if path.name != "CHANGELOG.md"]
    for where, text in (*named, *_sources(root)):
        for name in sorted(set(_SETTING.findall(text)) - set(existing)):
            if not any(other.startswith(f"{name}_") for other in existing):
                yield f"{where}: {name} is not a setting"


def _metrics(root: Path) -> Iterator[str]:
    """Require a row and a mention in its stage's runbook for each metric, and a declaration for each metric name."""
    table, existing = _text(root / "docs/metrics.md"), {metric.name for metric in METRICS}
    for metric in METRICS:
        if not metric.meaning or f"| `{metric.name}` |" not in table:
            yield f"the metric {metric.name} is undocumented: docs/metrics.md has no row for it"
        runbook = f"docs/runbooks/{metric.stage}.md"
        if f"`{metric.name}`" not in _text(root / runbook):
            yield f"the metric {metric.name} is undocumented: {runbook} does not describe it"
    for where, text in _sources(root):
        for name in sorted(set(_FIGURE.findall(text)) - existing):
            yield f"{where}: the metric {name} is not declared in include/contracts/metrics.py"


def _alerts(root: Path) -> Iterator[str]:
    """Require one heading for each alert in the runbook of its stage, and no heading of an unknown alert."""
    expected = {
        **{name: alert.runbook for name, alert in ALERTS.items()},
        **{name: runbook for name, (_, runbook) in OTHER_ALERTS.items()},
    }
    results: dict[str, list[str]] = {}
    for path in sorted((root / "docs/runbooks").glob("*.md")):
        for heading in _HEADING.findall(_FENCE.sub("", _text(path))):
            if _ALERT.fullmatch(heading):
                results.setdefault(heading, []).append(path.stem)
    for name, stage in expected.items():
        if results.get(name) != [stage]:
            yield f"the alert {name} needs one heading of its name, in docs/runbooks/{stage}.md"
    yield from _unknown(results.keys() - expected.keys())


def _unknown(names: Iterable[str]) -> Iterator[str]:
    for name in sorted(names):
        yield f"docs/runbooks has a heading {name}, and there is no such alert"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""

"""What the documentation must hold: links that lead somewhere, and each DAG, setting, metric and alert."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from include.contracts.metrics import METRICS
from include.contracts.settings import PREFIX, all_settings
from include.supervise.alerts import ALERTS
from local.project import ROOT
from tools.dag_reference import read

CODE = ("include", "dags", "plugins", "flink", "docker", "benchmarks", "drills")
BESIDES_STAGES = {
    "reconcile.difference": "supervise",
    "reconcile.unverifiable": "supervise",
    "airflow.task_failed": "local",
}
"""Alerts outside the supervision rules, and the runbook of each."""
REQUIRED_PHRASES = ("**Run again:**",)
"""What every DAG's text says."""

_FENCE = re.compile(r"^```.*?^```[^\S\n]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^\s)>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|(?:href|src)=\"([^\"]+)\"", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:|^//")
_DOCUMENT = re.compile(r"\bdocs/[\w/-]+\.md\b")
_SETTING = re.compile(rf"\b{PREFIX}[A-Z0-9]+(?:_[A-Z0-9]+)*\b")
_FIGURE = re.compile(r"""StageMetric\(\s*name=["']([a-z]+\.[a-z0-9_]+)["']""")
_ALERT = re.compile(r"[a-z]+\.[a-z_]+")


def complaints(root: Path = ROOT) -> list[str]:
    """What is dead or undocumented in the project below `root`, a line each; empty when all is well."""
    pages = _pages(root)
    return [
        *_dead_links(root, pages),
        *_dags(root),
        *_settings(root, pages),
        *_metrics(root),
        *_alerts(root),
    ]


def anchors(markdown: str) -> set[str]:
    """The places inside a page that a link may name, as GitHub forms them."""
    seen: Counter[str] = Counter()
    results = set()
    for heading in _HEADING.findall(_FENCE.sub("", markdown)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        results.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return results


def links(markdown: str) -> list[str]:
    """Where a page's links and pictures lead; those in code and comments are none."""
    prose = _CODE.sub("", _COMMENT.sub("", _FENCE.sub("", markdown)))
    return [next(filter(None, result)) for result in _LINK.findall(prose)]


def _pages(root: Path) -> dict[Path, str]:
    """The project's own pages, by path."""
    paths = [*root.glob("*.md"), *(path for folder in ("docs", *CODE) for path in (root / folder).rglob("*.md"))]
    return {path: path.read_text(encoding="utf-8") for path in sorted(paths)}


def _sources(root: Path) -> Iterator[tuple[Path, str]]:
    paths = [path for folder in CODE for path in (root / folder).rglob("*.py")]
    for path in sorted(paths):
        yield path.relative_to(root), path.read_text(encoding="utf-8")


def _dead_links(root: Path, pages: dict[Path, str]) -> Iterator[str]:
    for page, text in pages.items():
        where = page.relative_to(root)
        for link in links(text):
            reason = "" if _ELSEWHERE.match(link) else _dead(root, page, link, pages)
            if reason:
                yield f"{where}: the link {link} is dead: {reason}"
    for source, text in _sources(root):
        for name in sorted(set(_DOCUMENT.findall(text))):
            if not (root / name).is_file():
                yield f"{source}: names {name}, which does not exist"


def _dead(root: Path, page: Path, link: str, pages: dict[Path, str]) -> str:
    """Why a link inside the project leads nowhere; empty when it does not."""
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(root.resolve()):
        return "it leads out of the project"
    if not target.exists():
        return "no such file"
    if anchor and target.suffix == ".md":
        existing = anchors(pages.get(target) or target.read_text(encoding="utf-8"))
        return "" if anchor in existing else "no such heading"
    return ""


def _dags(root: Path) -> Iterator[str]:
    """A DAG needs its text, its place in the reference, and its row in the README, which names no others."""
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
    """A setting needs its row, and what looks like one in pages and code has to be one."""
    table = _text(root / "docs/contracts.md")
    existing = {item.variable: str(item.metadata["meaning"]) for item in all_settings()}
    for name, meaning in existing.items():
        if not meaning or f"| `{name}` |" not in table:
            yield f"the setting {name} is undocumented: docs/contracts.md has no row for it"
    named = [(path.relative_to(root), text) for path, text in pages.items() if path.name != "CHANGELOG.md"]
    for where, text in (*named, *_sources(root)):
        for name in sorted(set(_SETTING.findall(text)) - set(existing)):
            if not any(other.startswith(f"{name}_") for other in existing):
                yield f"{where}: {name} is no setting"


def _metrics(root: Path) -> Iterator[str]:
    """A metric needs its row and its stage's runbook; a figure that is named like one has to be one."""
    table, existing = _text(root / "docs/contracts.md"), {metric.name for metric in METRICS}
    for metric in METRICS:
        if not metric.meaning or f"| `{metric.name}` |" not in table:
            yield f"the metric {metric.name} is undocumented: docs/contracts.md has no row for it"
        runbook = f"docs/runbooks/{metric.stage}.md"
        if f"`{metric.name}`" not in _text(root / runbook):
            yield f"the metric {metric.name} is undocumented: {runbook} does not say what to make of it"
    for where, text in _sources(root):
        for name in sorted(set(_FIGURE.findall(text)) - existing):
            yield f"{where}: the metric {name} is not declared in include/contracts/metrics.py"


def _alerts(root: Path) -> Iterator[str]:
    """Require one heading for each alert in the runbook of its stage, and no heading of an unknown alert."""
    expected = {**{name: alert.runbook for name, alert in ALERTS.items()}, **BESIDES_STAGES}
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

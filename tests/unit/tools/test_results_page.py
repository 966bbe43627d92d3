"""docs/results.md from the result files of a temporary tree."""

import json
from collections.abc import Mapping
from pathlib import Path

from tools.results_page import page


def write(
    root: Path, folder: str, name: str, figures: Mapping[str, object], targets: dict[str, str], *, met: bool
) -> None:
    result = {"figures": figures, "targets": targets, "met": met, "at": "2026-11-25T08:00:00+00:00"}
    path = root / folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result | {"machine": {"cores": 2, "load_1m": 1.5}}))


def test_page_names_each_missed_target(tmp_path: Path) -> None:
    figures = {"rate": 1_634, "p95_s": 3.16, "lag": None}
    targets = {"rate": "at least 1000", "p95_s": "at most 3", "lag": "at most 0"}
    write(tmp_path, "benchmarks/results", "live", figures, targets, met=False)
    write(tmp_path, "drills/results", "gate", {"lost": 0}, {"lost": "at most 0"}, met=True)

    lines = page(tmp_path).splitlines()

    assert "| [live](../benchmarks/results/live.json) | no | `p95_s`, `lag` | 2026-11-25 | 2 | 1.5 |" in lines
    assert "| `rate` | 1,634 | at least 1000 | yes |" in lines
    assert "| `p95_s` | 3.16 | at most 3 | no |" in lines
    assert "| `lag` | - | at most 0 | no |" in lines
    assert "| [gate](../drills/results/gate.json) | yes | - | 2026-11-25 | 2 | 1.5 |" in lines

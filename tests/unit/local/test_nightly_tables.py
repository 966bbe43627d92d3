"""The demo's tables of a nightly run, from summaries in the steps' format."""

import io
from typing import Any

import pytest
from rich.console import Console

from local.demo.nightly_run import STEPS, NightlyRunResult
from local.demo.nightly_tables import tables


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def fit(kind: str, private: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "private": private,
        "scores": {"brier": 0.0812, "base_rate": 0.12},
        "intervals": {"pr_auc": interval(0.51), "roc_auc": interval(0.83)},
        **more,
    }


def summaries() -> dict[str, dict[str, Any]]:
    judged: dict[str, Any] = {
        "random": {"roc_auc": 0.861},
        "shuffled_label_check": {"roc_auc": interval(0.5), "ok": True},
    }
    first, second, winner = "first reason", "second reason", {"version": "3", "kind": "boost", "run": "r"}
    near = {"user_id": "b" * 64, "similarity": 0.667, "shared": ["product:p01", "state:Ohio"]}
    return {
        "features": {},
        "similar": {
            "users": 900,
            "with_neighbours": 800,
            "recall": 0.991,
            "example": {"user_id": "a" * 64, "neighbours": [near]},
        },
        "neighbours": {},
        "train": {
            "best": "boost",
            "oracle_auc": 0.853,
            "models": {"majority": fit("majority", shuffled_label_check=None), "boost": fit("boost", **judged)},
        },
        "privacy": {
            "epsilon": 0.98,
            "spent": 2.5,
            "budget": 8.0,
            "scores": fit("private_network", private=True, shuffled_label_check=judged["shuffled_label_check"]),
            "attack": {"boost": {"auc": interval(0.55)}, "private_network": {"auc": interval(0.502)}},
        },
        "explain": {},
        "promote": {
            "decisions": {
                "purchase": {"outcome": "promoted", "reasons": [first], "champion": winner},
                "purchase-private": {"outcome": "kept", "reasons": [first, second], "champion": None},
            }
        },
    }


def shown(summaries: dict[str, dict[str, Any]], failed: dict[str, str] | None = None) -> str:
    console = Console(width=240, file=io.StringIO())
    console.print(*tables(NightlyRunResult("run", 1.0, summaries, failed or {})), sep="\n")
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_tables_of_complete_run_show_all_steps() -> None:
    text = shown(summaries())

    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "boost *" in text
    assert "0.830 [0.820, 0.840]" in lines["boost"]
    assert "0.861" in lines["boost"]
    assert "0.853" in text
    assert "epsilon 0.98" in text
    assert " no " in lines["majority"]
    assert "0.502 [0.492, 0.512]" in text
    assert "version 3, boost" in text
    assert "second reason" in text
    assert "this run 0.98, all runs 2.50, budget 8.00" in text
    assert "neighbours of aaaaaaaaaaaa" in text
    assert "product:p01, state:Ohio" in text
    assert "800 of 900" in text
    assert "failed" not in text
    assert "not run" not in text


def test_tables_with_spent_budget_omit_private_model() -> None:
    message = summaries()
    message["privacy"] = {"refused": "the privacy budget is spent: 7.9 of 8", "attack": {}, "budget": 8.0}

    text = shown(message)
    assert "no release: the privacy budget is spent" in text
    assert "private network" not in text


def test_tables_without_neighbours_or_oracle_auc() -> None:
    message = summaries()
    message["similar"]["example"] = None
    message["train"]["oracle_auc"] = None

    text = shown(message)
    assert "800 of 900" in text
    assert "oracle" not in text


@pytest.mark.parametrize("step", STEPS)
def test_tables_list_failed_and_later_steps(step: str) -> None:
    messages = {name: summary for name, summary in summaries().items() if STEPS.index(name) < STEPS.index(step)}
    nightly = NightlyRunResult("run", 1.0, messages, {step: "MongoDB is unavailable"})

    assert not nightly.complete
    text = shown(messages, {step: "MongoDB is unavailable"})
    assert f"{step} failed: MongoDB is unavailable" in text
    assert all(name in text for name in STEPS if name not in messages)


def test_nightly_run_with_all_summaries_is_complete() -> None:
    assert NightlyRunResult("run", 1.0, summaries(), {}).complete
    assert not NightlyRunResult("run", 1.0, {}, {}).complete

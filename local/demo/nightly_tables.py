"""Results of a nightly run as tables for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from local.demo.nightly_run import STEPS, NightlyRunResult

SHOWN = 5
SHORT = 12
"""Characters of a pseudonym that are shown."""

Summary = Mapping[str, Any]


def tables(nightly: NightlyRunResult) -> Iterator[RenderableType]:
    """Yield a table for each step of the run, and the last error line of failed steps."""
    message = nightly.summaries
    if "train" in message:
        yield _models(message["train"], message.get("privacy", {}))
    if "promote" in message:
        yield _champions(message["promote"])
    if "privacy" in message:
        yield _epsilon(message["privacy"])
    if "similar" in message:
        yield _similar(message["similar"])
    for name, words in nightly.failed.items():
        yield Text(f"\n{name} failed: {words}", style="red")
    left_out = [name for name in STEPS if name not in message and name not in nightly.failed]
    if left_out:
        yield Text(f"not run: {', '.join(left_out)}", style="red")


def _models(train: Summary, privacy: Summary) -> RenderableType:
    """Return the metrics of every kind; those of the private network, if released, are from its own step."""
    grid = _grid("Models, on later visits of users never trained on")
    for name in ("model", "private"):
        grid.add_column(name)
    for name in ("PR-AUC", "ROC-AUC", "Brier", "random split", "shuffled labels", "membership"):
        grid.add_column(name, justify="right", no_wrap=True)
    released = {privacy["scores"]["kind"]: privacy["scores"]} if privacy.get("scores") else {}
    epsilon, attacks = privacy.get("epsilon"), privacy.get("attack") or {}
    for kind, result in {**train["models"], **released}.items():
        private = f"epsilon {epsilon:.2f}" if result["private"] and epsilon is not None else "no"
        best = " *" if kind == train.get("best") else ""
        flattering, canary = result.get("random"), result.get("shuffled_label_check")
        grid.add_row(
            f"{kind.replace('_', ' ')}{best}",
            private,
            _interval(result["intervals"].get("pr_auc")),
            _interval(result["intervals"].get("roc_auc")),
            f"{result['scores']['brier']:.4f}" if "brier" in result["scores"] else "",
            f"{flattering['roc_auc']:.3f}" if flattering else "",
            _interval(canary["roc_auc"]) if canary else "",
            _interval(attacks.get(kind, {}).get("auc")),
        )
    base = next(iter(train["models"].values()))["scores"]["base_rate"]
    ceiling = f"; oracle ROC-AUC {train['oracle_auc']:.3f}" if train.get("oracle_auc") else ""
    grid.caption = (
        f"* chosen on the validation part; base rate {base:.1%}, the PR-AUC of chance{ceiling}\n"
        "the last three columns are ROC-AUC: the random split is optimistic, the other two should be near 0.5"
    )
    grid.caption_justify = "left"
    return grid


def _champions(promote: Summary) -> RenderableType:
    grid = _grid("Champions")
    for name in ("name", "decision", "champion", "reasons"):
        grid.add_column(name)
    for name, decided in promote["decisions"].items():
        champion = decided.get("champion")
        named = f"version {champion['version']}, {champion['kind'].replace('_', ' ')}" if champion else "none"
        grid.add_row(name, decided["outcome"], named, "\n".join(decided["reasons"]))
    return grid


def _epsilon(privacy: Summary) -> RenderableType:
    if privacy.get("refused"):
        return Text(f"\nPrivacy: no release: {privacy['refused']}", style="yellow")
    spent, budget = privacy.get("spent"), privacy.get("budget")
    existing = [
        f"{what} {value:.2f}"
        for what, value in (("this run", privacy.get("epsilon")), ("all runs", spent), ("budget", budget))
        if value is not None
    ]
    return Text(f"\nPrivacy, epsilon of a user with all visits: {', '.join(existing)}")


def _similar(similar: Summary) -> RenderableType:
    example = similar.get("example")
    title = f"{similar['with_neighbours']:,} of {similar['users']:,} have neighbours, recall {similar['recall']:.3f}"
    if example is None:
        return Text(f"\nSimilar users: {title}")
    grid = _grid("Similar users")
    grid.caption, grid.caption_justify = title, "left"
    grid.add_column(f"neighbours of {example['user_id'][:SHORT]}")
    grid.add_column("Jaccard", justify="right")
    grid.add_column("rarest shared tokens")
    for near in example["neighbours"][:SHOWN]:
        grid.add_row(near["user_id"][:SHORT], f"{near['similarity']:.2f}", ", ".join(near["shared"]))
    return grid


def _grid(title: str) -> Table:
    return Table(title=f"\n{title}", title_justify="left", box=None)


def _interval(result: Summary | None) -> str:
    return f"{result['value']:.3f} [{result['low']:.3f}, {result['high']:.3f}]" if result else ""

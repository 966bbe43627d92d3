"""What a nightly run found, as tables for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from local.demo.nightly_run import STEPS, Night

SHOWN = 5
SHORT = 12
"""Characters of a pseudonym that are shown."""

Told = Mapping[str, Any]


def tables(night: Night) -> Iterator[RenderableType]:
    """All that the run's steps told, best known first; steps that failed with their last words."""
    told = night.told
    if "train" in told:
        yield _models(told["train"], told.get("privacy", {}))
    if "promote" in told:
        yield _champions(told["promote"])
    if "privacy" in told:
        yield _epsilon(told["privacy"])
    if "similar" in told:
        yield _similar(told["similar"])
    for name, words in night.failed.items():
        yield Text(f"\n{name} failed: {words}", style="red")
    left_out = [name for name in STEPS if name not in told and name not in night.failed]
    if left_out:
        yield Text(f"not run: {', '.join(left_out)}", style="red")


def _models(train: Told, privacy: Told) -> RenderableType:
    """Figures of every kind, the private network's from its own step, where one was released."""
    grid = _grid("Models, on later visits of users never trained on")
    for name in ("model", "private"):
        grid.add_column(name)
    for name in ("PR-AUC", "ROC-AUC", "Brier", "random split", "shuffled labels", "membership"):
        grid.add_column(name, justify="right", no_wrap=True)
    released = {privacy["scores"]["kind"]: privacy["scores"]} if privacy.get("scores") else {}
    epsilon, attacks = privacy.get("epsilon"), privacy.get("attack") or {}
    for kind, found in {**train["models"], **released}.items():
        private = f"epsilon {epsilon:.2f}" if found["private"] and epsilon is not None else "no"
        best = " *" if kind == train.get("best") else ""
        flattering, canary = found.get("random"), found.get("shuffled_label_check")
        grid.add_row(
            f"{kind.replace('_', ' ')}{best}",
            private,
            _interval(found["intervals"].get("pr_auc")),
            _interval(found["intervals"].get("roc_auc")),
            f"{found['scores']['brier']:.4f}" if "brier" in found["scores"] else "",
            f"{flattering['roc_auc']:.3f}" if flattering else "",
            _interval(canary["roc_auc"]) if canary else "",
            _interval(attacks.get(kind, {}).get("auc")),
        )
    base = next(iter(train["models"].values()))["scores"]["base_rate"]
    ceiling = f"; the best reachable ROC-AUC is {train['oracle_auc']:.3f}" if train.get("oracle_auc") else ""
    grid.caption = (
        f"* chosen on the validation part; {base:.1%} buy, which is the PR-AUC of chance{ceiling}\n"
        "the last three are ROC-AUC too: the random split flatters, the other two should be near 0.5"
    )
    grid.caption_justify = "left"
    return grid


def _champions(promote: Told) -> RenderableType:
    grid = _grid("Champions")
    for name in ("name", "decision", "champion", "why"):
        grid.add_column(name)
    for name, decided in promote["decisions"].items():
        champion = decided.get("champion")
        named = f"version {champion['version']}, {champion['kind'].replace('_', ' ')}" if champion else "none"
        grid.add_row(name, decided["outcome"], named, "\n".join(decided["reasons"]))
    return grid


def _epsilon(privacy: Told) -> RenderableType:
    if privacy.get("refused"):
        return Text(f"\nPrivacy: nothing was released: {privacy['refused']}", style="yellow")
    spent, budget = privacy.get("spent"), privacy.get("budget")
    known = [
        f"{what} {value:.2f}"
        for what, value in (("this night", privacy.get("epsilon")), ("all nights", spent), ("budget", budget))
        if value is not None
    ]
    return Text(f"\nPrivacy, epsilon of a user with all visits: {', '.join(known)}")


def _similar(similar: Told) -> RenderableType:
    example = similar.get("example")
    title = f"{similar['with_neighbours']:,} of {similar['users']:,} have neighbours, recall {similar['recall']:.3f}"
    if example is None:
        return Text(f"\nSimilar users: {title}")
    grid = _grid("Similar users")
    grid.caption, grid.caption_justify = title, "left"
    grid.add_column(f"user {example['user_id'][:SHORT]} is like")
    grid.add_column("Jaccard", justify="right")
    grid.add_column("rarest in common")
    for near in example["neighbours"][:SHOWN]:
        grid.add_row(near["user_id"][:SHORT], f"{near['similarity']:.2f}", ", ".join(near["shared"]))
    return grid


def _grid(title: str) -> Table:
    return Table(title=f"\n{title}", title_justify="left", box=None)


def _interval(found: Told | None) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if found else ""

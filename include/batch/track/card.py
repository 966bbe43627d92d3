"""The model card: what a model was made of, how good it is, what is private about it and what it is not good for.

The sections follow Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from include.batch.features import columns
from include.batch.track.decide import Margin
from include.batch.track.night import Fit, Night

FIGURES: tuple[tuple[str, str], ...] = (
    ("pr_auc", "PR-AUC"),
    ("roc_auc", "ROC-AUC"),
    ("brier", "Brier score"),
    ("log_loss", "log loss"),
    ("calibration_error", "calibration error"),
    ("f1", "F1"),
    ("accuracy", "accuracy"),
)
NOT_PRIVATE = "not private"
LIMITS: tuple[str, ...] = (
    "It answers when a visit is over, before its outcome is known; it says nothing of a visit that goes on.",
    "It was tested on the last days of one window only; it says nothing of another season, price list or shop.",
    "It ranks and estimates; it tells no causes. An explanation says what moved the answer, not the visitor.",
    "Explanations are of held-out visits, and no epsilon covers these visits.",
)


def card(night: Night, kind: str) -> str:
    """The card of one kind of a run, in Markdown; the same run, the same text."""
    fit = night.fits[kind]
    return "\n".join([*_head(night, fit), *_data(night), *_figures(fit), *_privacy(night, fit), *_limits(night)]) + "\n"


def _head(night: Night, fit: Fit) -> Iterator[str]:
    yield f"# {fit.kind}: will a visit end in a purchase?"
    yield ""
    yield f"Run `{night.key}`, seed {night.parameters.seed}. Privacy: {claim(night, fit)}."
    yield ""


def _data(night: Night) -> Iterator[str]:
    split, rows = night.parameters.split, night.trained.rows
    yield "## Data"
    yield ""
    yield f"- Window: {night.window}"
    yield f"- Digest of the feature table (SHA-256): `{night.trained.data}`"
    learnt, chosen, before = rows.get("train", 0), rows.get("inner", 0), night.cut.isoformat()
    yield f"- Trained on {learnt} visits, choices made on {chosen}, all before {before}"
    yield (
        f"- Tested on {rows.get('test', 0)} visits of the last {split.test_days:g} days, of users "
        f"({split.test_users:.0%} of all, by hash) of whom no visit was trained on"
    )
    yield f"- {len(columns.NAMES)} columns: {', '.join(columns.NAMES)}"
    yield f"- Reviews: {'used' if night.parameters.features.reviews else 'not used'}"
    yield "- Never used, because they follow the outcome:"
    for name, reason in columns.DENIED.items():
        yield f"  - `{name}` {reason}"
    yield ""


def _figures(fit: Fit) -> Iterator[str]:
    yield "## Figures on the later window"
    yield ""
    base_rate, visits = _number(fit.scores.get("base_rate")), fit.scores.get("rows", 0)
    yield f"Base rate {base_rate} of {visits:.0f} visits; intervals by drawing users."
    yield ""
    yield "| figure | value | from | to | random split (flattering) |"
    yield "| --- | --- | --- | --- | --- |"
    for name, title in FIGURES:
        if name not in fit.scores:
            continue
        bounds = fit.intervals.get(name)
        low, high = (_number(bounds.low), _number(bounds.high)) if bounds else ("-", "-")
        yield f"| {title} | {_number(fit.scores[name])} | {low} | {high} | {_number(fit.random.get(name))} |"
    yield ""
    canary = _margin(fit.canary.roc_auc) if fit.canary else "not measured for this kind"
    yield f"Shuffled-label canary, ROC-AUC: {canary}."
    yield ""


def _privacy(night: Night, fit: Fit) -> Iterator[str]:
    yield "## Privacy"
    yield ""
    released = night.released
    if not fit.private:
        yield f"This model is {NOT_PRIVATE}: nothing bounds what it tells of a single user."
    else:
        mechanism = released.mechanism or {}
        yield f"- {claim(night, fit)}"
        for name in ("adjacency", "sampling", "sigma", "clip", "rate", "steps", "users"):
            if name in mechanism:
                yield f"- {name}: {mechanism[name]}"
        yield f"- Spent over all nights: {_number(released.spent)} of {_number(released.budget)}"
        yield "- Encoders, caps and parameters are constants; no search for them was charged"
    yield f"- Membership attack: {_attack(attack(night, fit.kind))}"
    yield ""


def _limits(night: Night) -> Iterator[str]:
    yield "## Known limits"
    yield ""
    for limit in LIMITS:
        yield f"- {limit}"


def claim(night: Night, fit: Fit) -> str:
    """What may be said of its privacy, in one line."""
    if not fit.private:
        return NOT_PRIVATE
    mechanism = night.released.mechanism or {}
    return (
        f"({_number(night.released.epsilon)}, {mechanism.get('delta', '?')})-differentially private for one "
        f"{mechanism.get('unit', '?')} with all visits, by the {mechanism.get('accountant', '?')} accountant"
    )


def attack(night: Night, kind: str) -> Mapping[str, Any]:
    """The membership attack's figures on one kind; empty where it was not attacked."""
    found = (night.released.attack or {}).get(kind, {})
    return found if isinstance(found, Mapping) else {"auc": found}


def _attack(found: Mapping[str, Any]) -> str:
    told = [f"{name} {_told(value)}" for name, value in found.items() if _told(value)]
    return ", ".join(told) if told else "not measured"


def _told(value: Any) -> str:
    if isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys():
        return _margin(Margin(value["value"], value["low"], value["high"]))
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _margin(margin: Margin) -> str:
    return f"{margin.value:.3f} ({margin.low:.3f} to {margin.high:.3f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"

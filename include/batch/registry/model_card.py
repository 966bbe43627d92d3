"""The model card: data, metrics, privacy and limitations of a model.

The sections follow Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.features import columns
from include.batch.registry.run_results import ModelResult, RunResults

METRICS: tuple[tuple[str, str], ...] = (
    ("pr_auc", "PR-AUC"),
    ("roc_auc", "ROC-AUC"),
    ("brier", "Brier score"),
    ("log_loss", "log loss"),
    ("calibration_error", "calibration error"),
    ("f1", "F1"),
    ("accuracy", "accuracy"),
)
NOT_PRIVATE = "not private"
LIMITATIONS: tuple[str, ...] = (
    "It predicts after a visit ends and before its outcome is known. It does not apply to a visit in progress.",
    "It was tested on the last days of one window only. Results do not transfer to another season, price list or shop.",
    "It ranks and estimates; it does not identify causes. An explanation describes the prediction, not the visitor.",
    "Explanations use held-out visits, and no epsilon covers these visits.",
)


def card(results: RunResults, kind: str) -> str:
    """Return the card of one kind of a run, in Markdown; equal runs give equal text."""
    fit = results.models[kind]
    return (
        "\n".join(
            [*_head(results, fit), *_data(results), *_metrics_section(fit), *_privacy(results, fit), *_limits(results)]
        )
        + "\n"
    )


def _head(results: RunResults, fit: ModelResult) -> Iterator[str]:
    yield f"# {fit.kind}: will a visit end in a purchase?"
    yield ""
    yield f"Run `{results.key}`, seed {results.parameters.seed}. Privacy: {claim(results, fit)}."
    yield ""


def _data(results: RunResults) -> Iterator[str]:
    split, rows = results.parameters.split, results.training.rows
    yield "## Data"
    yield ""
    yield f"- Window: {results.window}"
    yield f"- Digest of the feature table (SHA-256): `{results.training.data}`"
    train_rows, validation_rows, cut = rows.get("train", 0), rows.get("validation", 0), results.cut.isoformat()
    yield f"- Trained on {train_rows} visits, validated on {validation_rows}, all before {cut}"
    yield (
        f"- Tested on {rows.get('test', 0)} visits of the last {split.test_days:g} days, of users "
        f"({split.test_users:.0%} of all, by hash) whose visits are never trained on"
    )
    yield f"- {len(columns.NAMES)} columns: {', '.join(columns.NAMES)}"
    yield f"- Reviews: {'used' if results.parameters.features.reviews else 'not used'}"
    yield "- Excluded, because they follow the outcome:"
    for name, reason in columns.DENIED_FIELDS.items():
        yield f"  - `{name}` {reason}"
    yield ""


def _metrics_section(fit: ModelResult) -> Iterator[str]:
    yield "## Metrics on the temporal holdout"
    yield ""
    base_rate, visits = _number(fit.scores.get("base_rate")), fit.scores.get("rows", 0)
    yield f"Base rate {base_rate} of {visits:.0f} visits; intervals by bootstrap over users."
    yield ""
    yield "| metric | value | from | to | random split (optimistic) |"
    yield "| --- | --- | --- | --- | --- |"
    for name, title in METRICS:
        if name not in fit.scores:
            continue
        bounds = fit.intervals.get(name)
        low, high = (_number(bounds.low), _number(bounds.high)) if bounds else ("-", "-")
        yield f"| {title} | {_number(fit.scores[name])} | {low} | {high} | {_number(fit.random.get(name))} |"
    yield ""
    shuffled_label_check = (
        _format_interval(fit.shuffled_label_check.roc_auc) if fit.shuffled_label_check else "not measured for this kind"
    )
    yield f"Shuffled-label check, ROC-AUC: {shuffled_label_check}."
    yield ""


def _privacy(results: RunResults, fit: ModelResult) -> Iterator[str]:
    yield "## Privacy"
    yield ""
    release = results.release
    if not fit.private:
        yield f"This model is {NOT_PRIVATE}: it has no bound on what it reveals about a single user."
    else:
        mechanism = release.mechanism or {}
        yield f"- {claim(results, fit)}"
        for name in ("adjacency", "sampling", "sigma", "clip", "rate", "steps", "users"):
            if name in mechanism:
                yield f"- {name}: {mechanism[name]}"
        yield f"- Spent by all runs: {_number(release.spent)} of {_number(release.budget)}"
        yield "- Encoders, caps and parameters are constants; their tuning was not charged"
    yield f"- Membership attack: {_attack(attack(results, fit.kind))}"
    yield ""


def _limits(results: RunResults) -> Iterator[str]:
    yield "## Limitations"
    yield ""
    for limitation in LIMITATIONS:
        yield f"- {limitation}"


def claim(results: RunResults, fit: ModelResult) -> str:
    """Return the privacy claim of a model, in one line."""
    if not fit.private:
        return NOT_PRIVATE
    mechanism = results.release.mechanism or {}
    return (
        f"({_number(results.release.epsilon)}, {mechanism.get('delta', '?')})-differentially private for one "
        f"{mechanism.get('unit', '?')} with all visits, by the {mechanism.get('accountant', '?')} accountant"
    )


def attack(results: RunResults, kind: str) -> Mapping[str, Any]:
    """Return the metrics of the membership attack on one kind; empty if it was not attacked."""
    metrics = (results.release.attack or {}).get(kind, {})
    return metrics if isinstance(metrics, Mapping) else {"auc": metrics}


def _attack(metrics: Mapping[str, Any]) -> str:
    formatted = [f"{name} {_format_value(value)}" for name, value in metrics.items() if _format_value(value)]
    return ", ".join(formatted) if formatted else "not measured"


def _format_value(value: Any) -> str:
    if isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys():
        return _format_interval(ConfidenceInterval(value["value"], value["low"], value["high"]))
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _format_interval(interval: ConfidenceInterval) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"

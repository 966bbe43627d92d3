"""Printed tables of the model benchmark: each metric with its bar."""

from collections.abc import Mapping

from benchmarks.batch.leakage_demo import LeakComparison
from benchmarks.batch.measure import CVScore
from benchmarks.batch.tasks import Bar, Task
from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.evaluation.leakage import ShuffledLabelCheck

HEAD = (
    f"  {'model':<10}{'ROC-AUC':>8} {'interval':<15}{'bar':>6}{'PR-AUC':>9} {'interval':<15}{'bar':>6}"
    f"{'Brier':>8}{'cal.err':>8}{'F1':>7}{'accuracy':>9}{'fit s':>7}"
)


def format_task(
    task: Task,
    scores: Mapping[str, CVScore],
    target_kind: str,
    earlier: Mapping[str, ConfidenceInterval],
    checks: Mapping[str, ShuffledLabelCheck],
) -> str:
    """Format one task: its models, whether the target is met, and its leakage checks."""
    tests = sum(len(fold.test) for fold in task.folds)
    lines = [f"\n{task.name}: {task.about}", f"  {tests:,} test rows, base rate {task.base_rate:.3f}", HEAD]
    lines += [_row(result, task.bars.get(kind), "*" if kind == target_kind else " ") for kind, result in scores.items()]
    lines.append(
        f"  bar: ROC-AUC {task.bar[0]:.3f}, PR-AUC {task.bar[1]:.3f}, the best published result under the same protocol"
    )
    if earlier:
        text = ", ".join(f"{kind} {result.value:.3f}" for kind, result in earlier.items())
        lines.append(f"  chosen (*) on folds before the test, the simplest within a standard error of the best: {text}")
    if target_kind in scores:
        lines.append(_target_line(task, scores[target_kind]))
    lines += [
        f"  shuffled labels, {kind}: ROC-AUC {result.roc_auc.value:.3f} {_bounds(result.roc_auc)}"
        f" {'contains 0.5' if result.ok else 'NOT CHANCE: there is a leak'}"
        for kind, result in checks.items()
    ]
    return "\n".join(lines)


def format_leakage(pairs: Mapping[str, LeakComparison]) -> str:
    """Format the examples of leakage, each with the valid split."""
    lines = ["\nLEAKY SPLITS, for comparison only: accuracy / F1 / ROC-AUC of a forest"]
    for name, pair in pairs.items():
        leaky, honest = (" / ".join(f"{value:.3f}" for value in side) for side in (pair.leaky, pair.honest))
        lines.append(f"  {name}: {leaky}; without the leak: {honest}")
    return "\n".join(lines)


def _row(cv_score: CVScore, bar: Bar | None, mark: str) -> str:
    bars = ("-", "-") if bar is None else tuple(f"{value:.3f}" for value in bar)
    return (
        f"{mark:>2}{cv_score.kind:<10}{cv_score.roc_auc.value:>8.4f} {_bounds(cv_score.roc_auc):<15}{bars[0]:>6}"
        f"{cv_score.pr_auc.value:>9.4f} {_bounds(cv_score.pr_auc):<15}{bars[1]:>6}"
        f"{cv_score.brier:>8.4f}{cv_score.calibration_error:>8.3f}{cv_score.f1:>7.3f}{cv_score.accuracy:>9.3f}{cv_score.seconds:>7.1f}"
    )


def _target_line(task: Task, cv_score: CVScore) -> str:
    text = [
        f"{name} {value.value:.4f} >= {bound:.3f} {'met' if value.value >= bound else 'NOT MET'}"
        for name, value, bound in zip(
            ("ROC-AUC", "PR-AUC"), (cv_score.roc_auc, cv_score.pr_auc), task.target, strict=True
        )
    ]
    return f"  target for {cv_score.kind}: {', '.join(text)}"


def _bounds(interval: ConfidenceInterval) -> str:
    return f"[{interval.low:.3f} {interval.high:.3f}]"

"""Recovery times computed from freshness samples."""

import pytest

from cli.drill import FAULT_HELP
from drills.faults import FAULTS
from drills.watch import Recovery, Sample, measure_recovery

FAULT = 100.0


def _samples(*newest: float) -> list[Sample]:
    """Return one sample a second, the first at 98."""
    return [Sample(98.0 + number, arrived_at) for number, arrived_at in enumerate(newest)]


def test_measure_recovery_without_a_stall_is_zero() -> None:
    assert measure_recovery(_samples(97, 98, 99, 100, 101, 102), FAULT) == Recovery(1.0, 0.0, 0.0)


def test_measure_recovery_after_a_stall_ends_with_the_next_newer_session() -> None:
    samples = _samples(97, 98, 99, 99, 99, 99, 99, 99, 103, 105)
    assert measure_recovery(samples, FAULT) == Recovery(stall_s=6.0, recovery_s=6.0, lag_recovery_s=6.0)


def test_measure_recovery_ignores_in_flight_sessions_after_the_fault() -> None:
    samples = _samples(97, 98, 99, 100, 101, 101, 101, 101, 101, 101, 101, 108, 109)
    assert measure_recovery(samples, FAULT).recovery_s == 9.0


def test_measure_recovery_with_missing_samples_counts_the_gap_as_a_stall() -> None:
    samples = [Sample(99, 98), Sample(140, 139), Sample(141, 140)]
    assert measure_recovery(samples, FAULT) == Recovery(41.0, 40.0, 40.0)


def test_measure_recovery_of_a_stall_until_the_end_lasts_to_the_last_sample() -> None:
    samples = _samples(97, 98, 99, *[99] * 60)
    result = measure_recovery(samples, FAULT)
    assert result.recovery_s == samples[-1].timestamp - FAULT
    assert result.lag_recovery_s is None


@pytest.mark.parametrize("samples", [[], _samples(97, 98), [Sample(101, 100)]])
def test_measure_recovery_without_samples_on_both_sides_raises(samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="both sides"):
        measure_recovery(samples, FAULT)


def test_cli_has_a_command_for_each_fault() -> None:
    assert FAULTS.keys() == FAULT_HELP.keys()

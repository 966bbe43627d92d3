"""What a drill reads out of its samples."""

import pytest

from cli.drill import VICTIMS
from drills.faults import FAULTS
from drills.watch import Recovery, Sample, recovery

FAULT = 100.0


def _flow(*newest: float) -> list[Sample]:
    """A sample a second from 98 on."""
    return [Sample(98.0 + number, at) for number, at in enumerate(newest)]


def test_a_flow_that_never_stops_needs_no_recovery() -> None:
    assert recovery(_flow(97, 98, 99, 100, 101, 102), FAULT) == Recovery(1.0, 0.0, 0.0)


def test_recovery_is_when_newer_sessions_come_again() -> None:
    samples = _flow(97, 98, 99, 99, 99, 99, 99, 99, 103, 105)
    assert recovery(samples, FAULT) == Recovery(stood_still_s=6.0, rising_s=6.0, fresh_s=6.0)


def test_what_was_under_way_when_it_died_does_not_count_as_recovery() -> None:
    samples = _flow(97, 98, 99, 100, 101, 101, 101, 101, 101, 101, 101, 108, 109)
    assert recovery(samples, FAULT).rising_s == 9.0


def test_looks_that_nobody_answered_do_not_hide_a_standstill() -> None:
    samples = [Sample(99, 98), Sample(140, 139), Sample(141, 140)]
    assert recovery(samples, FAULT) == Recovery(41.0, 40.0, 40.0)


def test_a_flow_that_stays_dead_has_not_recovered_before_the_end() -> None:
    samples = _flow(97, 98, 99, *[99] * 60)
    result = recovery(samples, FAULT)
    assert result.rising_s == samples[-1].at - FAULT
    assert result.fresh_s is None


@pytest.mark.parametrize("samples", [[], _flow(97, 98), [Sample(101, 100)]])
def test_samples_must_lie_on_both_sides(samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="both sides"):
        recovery(samples, FAULT)


def test_every_fault_has_its_command() -> None:
    assert FAULTS.keys() == VICTIMS.keys()

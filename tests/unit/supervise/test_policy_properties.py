"""Properties of the policy: no restart on unknown state, and never more restarts than the budget."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from include.supervise.observation import (
    ArchiveState,
    ElasticsearchState,
    FlinkState,
    GateState,
    Job,
    KafkaState,
    Observation,
    RestoreState,
    Unavailable,
)
from include.supervise.policy import decide
from tests.unit.supervise.factories import FLINK, LIMITS, NOW, POINT, at, kafka

unavailable = st.builds(Unavailable, reason=st.just("refused"))
counts = st.integers(0, 1_000_000)
ages = st.floats(-1e6, 1e9)
jobs = st.builds(
    Job,
    id=st.sampled_from(["j1", "j2"]),
    state=st.sampled_from(["RUNNING", "RESTARTING", "CREATED", "FAILING"]),
    age_s=ages,
    idle_tasks=st.dictionaries(st.just("SCHEDULED"), st.integers(1, 4)),
    checkpoints=counts,
    checkpoint_age_s=ages | st.none(),
    restarts=st.integers(0, 20),
    records=counts | st.none(),
)
flinks = st.builds(
    FlinkState, job=jobs | st.none(), jobs=st.integers(0, 2), slots=st.integers(0, 3), taskmanagers=counts
)
offsets = st.dictionaries(st.integers(0, 1), counts)
kafkas = st.builds(
    KafkaState, **{name: counts for name in KafkaState.__struct_fields__ if name != "valid_ends"}, valid_ends=offsets
)
gates = st.builds(
    GateState,
    heartbeat_age_s=st.dictionaries(st.integers(0, 1), ages | st.none()),
    verdicts=st.dictionaries(st.just("valid"), counts),
)
searches = st.builds(
    ElasticsearchState,
    health=st.just("green"),
    write_block=st.none() | st.just("full"),
    newest_at=st.floats(0, 2 * NOW) | st.none(),
)
observations = st.builds(
    Observation,
    taken_at=st.floats(NOW - 2_000, NOW + 100),
    flink=flinks | unavailable,
    kafka=kafkas | unavailable,
    gate=gates | unavailable,
    elasticsearch=searches | unavailable,
    restore=st.builds(RestoreState, path=st.none() | st.just("/c")) | unavailable,
    archive=st.builds(ArchiveState, offsets=offsets, written_at=ages | st.none()) | unavailable,
)
times = st.lists(st.floats(NOW - 2_000, NOW + 1_000), max_size=6)


@given(observations, st.lists(observations, max_size=6), times)
def test_decide_restarts_only_on_known_state(
    seen: Observation, history: list[Observation], starts: list[float]
) -> None:
    decision = decide(seen, history, starts, LIMITS, NOW)
    if decision.should_restart:
        assert isinstance(seen.flink, FlinkState)
        assert seen.flink.slots > 0
        assert isinstance(seen.kafka, KafkaState)
        assert isinstance(seen.elasticsearch, ElasticsearchState)
        assert seen.elasticsearch.write_block is None
        assert isinstance(seen.restore, RestoreState)
        assert (decision.action == "submit") == (seen.restore.path is None)
        assert sum(at > NOW - LIMITS.window_s for at in starts) < LIMITS.restarts
    if seen.unavailable:
        assert decision.action != "healthy"


@given(observations, st.lists(observations, max_size=6), times)
def test_decide_does_not_restart_a_job_that_makes_progress(
    seen: Observation, history: list[Observation], starts: list[float]
) -> None:
    decision = decide(seen, history, starts, LIMITS, NOW)
    if not decision.should_restart or decision.alert != "stream.checkpoints_stalled":
        return
    assert isinstance(seen.elasticsearch, ElasticsearchState)
    assert isinstance(seen.kafka, KafkaState)
    recent = [past for past in history if past.taken_at < NOW and NOW - past.taken_at <= LIMITS.checkpoint_timeout_s]
    first = min(recent, key=lambda past: past.taken_at)
    if isinstance(first.elasticsearch, ElasticsearchState):
        assert seen.elasticsearch.sessions <= first.elasticsearch.sessions
        assert seen.elasticsearch.rejections <= first.elasticsearch.rejections
    if isinstance(first.kafka, KafkaState):
        assert seen.kafka.stream_read <= first.kafka.stream_read


@given(counts, st.lists(counts, min_size=1, max_size=6))
def test_growing_offsets_only_fire_no_stale_data(start: int, steps: list[int]) -> None:
    ends = [start + sum(steps[:number]) for number in range(len(steps) + 1)]
    past = [at(200.0 - 25 * number, kafka=kafka(valid_end=end)) for number, end in enumerate(ends)]
    assert decide(at(kafka=kafka(valid_end=ends[-1])), past, (), LIMITS, NOW).action == "healthy"


@given(st.lists(st.floats(1, 100), min_size=1, max_size=200))
def test_restarts_of_a_repeatedly_lost_job_stay_within_the_budget(steps: list[float]) -> None:
    now, starts = NOW, list[float]()
    for step in steps:
        now += step
        seen = changed(at(flink=changed(FLINK, job=None, jobs=0), restore=POINT), taken_at=now)
        if decide(seen, (), starts, LIMITS, now).should_restart:
            starts.append(now)
    for first in starts:
        assert sum(first <= at < first + LIMITS.window_s for at in starts) <= LIMITS.restarts


@given(observations)
def test_observation_round_trips_through_json(seen: Observation) -> None:
    assert msgspec.json.decode(msgspec.json.encode(seen), type=Observation) == seen

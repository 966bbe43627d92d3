"""Rules that demand a start of the stream, or forbid one; each looks at one thing.

A rule that only waits becomes a page once the same thing has been wrong for the whole grace.
"""

from collections.abc import Sequence

from include.supervise.observation import Away, Flink, Job, Kafka, Observation, Search
from include.supervise.rule_context import Action, Finding, Rule, View, absurd

SLOW_FACTOR = 5.0
"""A job that is slow for so many times the limit of a stall calls a person."""


def no_cluster(view: View) -> Finding | None:
    """Flink's REST does not answer, or not as Flink does."""
    flink = view.seen.flink
    if isinstance(flink, Flink):
        return None
    remedy = "./showroom status; supervisord starts a dead JobManager again"
    return view.patiently("stream.no_cluster", flink.reason, remedy, lambda past: isinstance(past.flink, Away))


def no_taskmanager(view: View) -> Finding | None:
    """The cluster has nothing that could run a job."""

    def holds(seen: Observation) -> bool:
        return isinstance(seen.flink, Flink) and seen.flink.slots < 1

    if not holds(view.seen):
        return None
    remedy = "./showroom status and ./showroom logs flink-taskmanager; supervisord starts a dead one again"
    return view.patiently("stream.no_taskmanager", "no TaskManager has registered", remedy, holds)


def no_kafka(view: View) -> Finding | None:
    """Kafka does not answer: a job started now would fail."""
    kafka = view.seen.kafka
    if isinstance(kafka, Kafka):
        return None
    remedy = "./showroom status and ./showroom logs kafka"
    return view.patiently("ingest.no_kafka", kafka.reason, remedy, lambda past: isinstance(past.kafka, Away))


def no_elasticsearch(view: View) -> Finding | None:
    """Elasticsearch does not answer: the stream waits for it, restarting would not help."""
    search = view.seen.elasticsearch
    if isinstance(search, Search):
        return None
    remedy = "./showroom status and ./showroom logs elasticsearch"
    return view.patiently("serving.away", search.reason, remedy, lambda past: isinstance(past.elasticsearch, Away))


def elasticsearch_refuses(view: View) -> Finding | None:
    """Elasticsearch answers but takes no documents."""

    def holds(seen: Observation) -> bool:
        return isinstance(seen.elasticsearch, Search) and seen.elasticsearch.refusing is not None

    if not (isinstance(view.seen.elasticsearch, Search) and holds(view.seen)):
        return None
    remedy = "free its disk and lift the block, or open the index; see the runbook of serving"
    return view.patiently("serving.refusing", str(view.seen.elasticsearch.refusing), remedy, holds)


def two_jobs(view: View) -> Finding | None:
    """More than one job of the stream's name: they write the same documents and fight over offsets."""
    flink = view.seen.flink
    if isinstance(flink, Away) or flink.jobs < 2:  # noqa: PLR2004
        return None
    remedy = "./showroom stream cancel until one is left"
    return Finding("page", "stream.two_jobs", f"{flink.jobs} jobs write the same documents", remedy)


def flink_clock(view: View) -> Finding | None:
    """Ages no job can have."""

    def holds(seen: Observation) -> bool:
        job = seen.job
        return job is not None and (absurd(job.age_s) or absurd(job.checkpoint_age_s))

    if not holds(view.seen):
        return None
    remedy = "set the clock of the JobManager's machine"
    return view.patiently("stream.clock", "the job's ages are impossible: its clock was set", remedy, holds)


def no_job(view: View) -> Finding | None:
    """The cluster is there and runs no stream."""
    if isinstance(view.seen.flink, Away) or view.seen.flink.job is not None:
        return None
    return view.start("stream.no_job", "no stream job is running")


def restarting(view: View) -> Finding | None:
    """Flink restarts the job again and again: starting it once more would not help."""
    job = view.seen.job
    if job is None:
        return None
    past = [earlier for earlier in view.history if view.now - earlier.taken_at <= view.limits.window_s]
    same = [(earlier.taken_at, earlier.job.restarts) for earlier in past if earlier.job and earlier.job.id == job.id]
    lowest = min((restarts for _, restarts in same), default=0 if job.age_s <= view.limits.window_s else job.restarts)
    recent = [restarts for at, restarts in same if view.now - at <= 2 * view.limits.grace_s]
    rising = min(recent, default=0 if not same else job.restarts) < job.restarts
    if job.restarts - lowest < view.limits.restarts or not rising:
        return None
    reason = f"{job.restarts - lowest} restarts within {view.limits.window_s:g} s: {job.failure or 'no failure told'}"
    return Finding("page", "stream.restarting", reason, "./showroom stream status; ./showroom logs flink-taskmanager")


def not_running(view: View) -> Finding | None:
    """The job is there and some of its tasks do not run."""
    job = view.seen.job
    if job is None or _runs(job):
        return None
    lasted = view.lasted(lambda past: past.job is not None and past.job.id == job.id and not _runs(past.job))
    reason = f"the job is {job.state}, tasks that do not run: {job.idle_tasks or 'none'}"
    if lasted < view.limits.grace_s:
        return Finding("wait", "stream.not_running", reason, "no action needed yet: Flink may get it to run by itself")
    return view.start("stream.not_running", f"{reason}, for {lasted:.0f} s")


def checkpoints_stalled(view: View) -> Finding | None:
    """All tasks run and no checkpoint completes: a stuck job is started anew, a slow one is left to work."""
    job = view.seen.job
    if job is None or not _runs(job):
        return None
    limit_s = view.limits.checkpoint_stalled_s
    age_s = job.age_s if job.checkpoint_age_s is None else min(job.checkpoint_age_s, job.age_s)
    if age_s <= limit_s:
        return None
    reason = f"no checkpoint has completed for {age_s:.0f} s"
    if view.lasted(_healthy_dependencies) < view.limits.grace_s:
        remedy = "no action needed yet: Kafka and Elasticsearch have only just recovered"
        return Finding("wait", "stream.checkpoints_stalled", reason, remedy)
    why = slow(view)
    if why is not None:
        action: Action = "page" if age_s > SLOW_FACTOR * limit_s else "wait"
        return Finding(action, "stream.slow", f"{reason}; but {why}", "see Elasticsearch's load and the records' size")
    grown_s = limit_s * 2 ** len(view.restarts)
    if age_s > grown_s:
        return view.start("stream.checkpoints_stalled", reason)
    # A start that did not help is no reason for the same start at once, but one to call a person.
    reason = f"{reason}, after {len(view.restarts)} restarts; the limit for the next restart is {grown_s:.0f} s"
    return Finding("page", "stream.checkpoints_stalled", reason, "./showroom stream status; Flink's logs")


FIRST: tuple[Rule, ...] = (
    no_cluster,
    no_taskmanager,
    no_kafka,
    no_elasticsearch,
    elasticsearch_refuses,
    two_jobs,
    flink_clock,
    no_job,
    restarting,
    not_running,
    checkpoints_stalled,
)
"""In this order: what stands before an act forbids it."""


def slow(view: View) -> str | None:
    """Return what has moved within the limit of a stall, so that the job counts as slow; None: it is stuck."""
    seen = view.seen
    if isinstance(seen.elasticsearch, Search) and seen.elasticsearch.has_reached_shard_limit:
        return "Elasticsearch has reached its limit of shards"
    past = view.since(view.limits.checkpoint_stalled_s)
    if not past:
        return None
    earlier = past[0]
    if isinstance(earlier.elasticsearch, Search) and isinstance(seen.elasticsearch, Search):
        if seen.elasticsearch.rejections > earlier.elasticsearch.rejections:
            return "Elasticsearch rejects writes (429)"
        if seen.elasticsearch.sessions > earlier.elasticsearch.sessions:
            return "documents still become searchable"
    kafka, before = seen.kafka, earlier.kafka
    if isinstance(kafka, Kafka) and isinstance(before, Kafka) and kafka.stream_read > before.stream_read:
        return "its committed offsets still move"
    return "its operators still pass records on" if _passes_records(past, seen.job) else None


def _passes_records(past: Sequence[Observation], job: Job | None) -> bool:
    if job is None or job.records is None:
        return False
    counts = [earlier.job.records for earlier in past if earlier.job is not None and earlier.job.id == job.id]
    known = [count for count in counts if count is not None]
    return bool(known) and job.records > known[0]


def _runs(job: Job) -> bool:
    return job.state == "RUNNING" and not job.idle_tasks


def _healthy_dependencies(seen: Observation) -> bool:
    search = seen.elasticsearch
    known = isinstance(seen.kafka, Kafka) and isinstance(search, Search) and search.refusing is None
    return known and (seen.job is None or _runs(seen.job))

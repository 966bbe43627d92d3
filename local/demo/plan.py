"""The steps of the demo with estimated durations, for a machine without recorded ones."""

from pathlib import Path

from local.demo.progress import Step
from local.demo.run import ENVIRONMENTS, DemoConfig, has_nightly_run
from local.install.java import STAMP
from local.project import VENVS

INSTALL_S = 240.0
SERVERS_S = 110.0
STREAM_S = 30.0
RUNNING_S = 5.0
ARCHIVE_S = 15.0
SETTLE_S = 3.0
HISTORY_S, HISTORY_PER_S = 15.0, 1_700.0
INDEX_S, INDEXED_PER_S = 5.0, 1_500.0
NIGHT_S, LEARNED_PER_S = 90.0, 470.0
BYTES_A_SESSION = 400.0
"""Average size of a session in a log; an estimate."""


def synthetic(config: DemoConfig, *, running: bool = False) -> tuple[Step, ...]:
    """Return the steps for history and live sessions; `running`: the platform runs already."""
    history = f"{config.sessions}/{config.days}"
    made = HISTORY_S + config.sessions / HISTORY_PER_S
    steps = (
        *_platform(running),
        Step(
            name="history",
            title=f"Airflow's ingest_synthetic generates {config.sessions:,} sessions of {_days(config)}",
            seconds=made,
            size=history,
        ),
        _index(config.sessions, history),
        Step(
            name="live",
            title=f"live: {config.live_per_s:g} sessions a second for {config.live_s} s",
            seconds=config.live_s + SETTLE_S,
            size=f"{config.live_s}/{config.live_per_s:g}",
        ),
        _archive(history),
    )
    if not has_nightly_run(config):
        return steps
    learned = NIGHT_S + config.sessions / LEARNED_PER_S
    title = f"Airflow's batch_nightly trains on {_days(config)}"
    return (*steps, Step(name="night", title=title, seconds=learned, size=history))


def replayed(path: Path, *, running: bool = False) -> tuple[Step, ...]:
    """Return the steps for a log; a missing file has no size, and the reader reports it."""
    size = path.stat().st_size if path.is_file() else 0
    sessions = int(size / BYTES_A_SESSION)
    return (
        *_platform(running),
        Step(name="replay", title=f"replaying {path.name}", seconds=sessions / HISTORY_PER_S, size=str(size)),
        _index(sessions, str(size)),
        _archive(str(size)),
    )


def _platform(running: bool) -> tuple[Step, ...]:
    bare = not (STAMP.exists() and all((VENVS / name / "stamp").exists() for name in ENVIRONMENTS))
    already = "running" if running else ""
    return (
        Step(
            name="install",
            title="install missing prerequisites",
            seconds=INSTALL_S if bare else 1.0,
            size="bare" if bare else "",
        ),
        Step(name="servers", title="start the servers", seconds=RUNNING_S if running else SERVERS_S, size=already),
        Step(
            name="stream",
            title="Airflow's supervise_stream starts the stream job",
            seconds=RUNNING_S if running else STREAM_S,
            size=already,
        ),
    )


def _index(sessions: int, size: str) -> Step:
    seconds = INDEX_S + sessions / INDEXED_PER_S
    return Step(name="index", title="gate and stream index all sessions", seconds=seconds, size=size)


def _archive(size: str) -> Step:
    title = "Airflow's archive_sessions copies the sessions to MongoDB, then all counts are compared"
    return Step(name="archive", title=title, seconds=ARCHIVE_S, size=size)


def _days(config: DemoConfig) -> str:
    return "1 day" if config.days == 1 else f"{config.days} days"

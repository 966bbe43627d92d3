"""What is true of all sessions sent into this stack, kept beside its data."""

from pathlib import Path

from include.contracts.settings import Settings
from include.ingest.ledger import Ledger, merge
from include.ingest.replay import ReplayReport
from include.local.layout import Layout

FOLDER = "truth"


def keep_ledgers(settings: Settings, *ledgers: Ledger) -> None:
    """Keep ledgers of plans whose records have been published."""
    for ledger in ledgers:
        ledger.save(_folder(settings) / f"{'-'.join(plan.tag for plan in ledger.plans)}.ledger.json")


def keep_replay(settings: Settings, report: ReplayReport) -> None:
    """Keep how many users a replayed log holds; the same log replayed again counts once."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{Path(report.path).name}.users").write_text(f"{report.expected.unique_users or 0}\n")


def unique_users(settings: Settings) -> int | None:
    """Users with an admitted session, over all kept ledgers and logs; None where nothing was kept."""
    folder = _folder(settings)
    ledgers = [Ledger.load(path) for path in sorted(folder.glob("*.ledger.json"))]
    logs = [int(path.read_text()) for path in folder.glob("*.users")]
    if not ledgers and not logs:
        return None
    shop = merge(ledgers).expected.unique_users if ledgers else 0
    return (shop or 0) + sum(logs)


def _folder(settings: Settings) -> Path:
    return Layout.of(settings).data / FOLDER

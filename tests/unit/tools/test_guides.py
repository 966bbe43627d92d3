"""The guide includes the examples, and their session is one that the gate admits."""

import json
import time

from include.contracts.settings import Settings
from include.gate.validation import Candidate, Limits, check
from local.project import ROOT

GUIDE = (ROOT / "docs/bring-your-own-shop.md").read_text(encoding="utf-8")
EXAMPLES = ("session.json", "send_session.py", "send_session.mjs")


def test_guide_includes_each_example() -> None:
    for name in EXAMPLES:
        assert f'--8<-- "examples/{name}"' in GUIDE


def test_session_of_guide_is_admitted() -> None:
    value = (ROOT / "examples/session.json").read_bytes()
    key = json.loads(value)["user_id"].encode()
    assert isinstance(check(value, key, int(time.time() * 1000), Limits.of(Settings().gate)), Candidate)


def test_examples_send_to_the_local_stack() -> None:
    address = f"127.0.0.1:{Settings().local.ports.kafka}"
    for name in EXAMPLES[1:]:
        assert address in (ROOT / "examples" / name).read_text()

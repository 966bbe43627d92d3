"""supervisord's configuration rendered from programs."""

import configparser
from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs
from supervisor.options import ServerOptions

from include.contracts.errors import SettingsError
from local.layout import Layout
from local.program import Program
from local.supervisord import render


def layout(root: Path) -> Layout:
    return Layout.below(root)


def program(**changes: object) -> Program:
    values: dict[str, object] = {
        "name": "thing",
        "title": "Thing",
        "command": ("/bin/thing", "two words"),
        "priority": 7,
        "probe": lambda: None,
        "address": "",
    }
    return Program(**(values | changes))  # type: ignore[arg-type]


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    parser.read_string(text)
    return parser


def test_render_output_is_accepted_by_supervisord(tmp_path: Path) -> None:
    for folder in ("conf", "log", "run"):
        (tmp_path / folder).mkdir()
    config = tmp_path / "conf" / "supervisord.conf"
    config.write_text(render([program(environment={"A": "1,5 %s = x"})], layout(tmp_path), tmp_path / "run" / "s"))

    options = ServerOptions()
    options.realize(["-c", str(config)])

    [group] = options.process_group_configs
    [process] = group.process_configs
    assert process.command == '"/bin/thing" "two words"'
    assert process.environment["A"] == "1,5 %s = x"
    assert process.autostart is False
    assert process.autorestart
    assert group.priority == 7


@pytest.mark.parametrize("value", ["", "plain", "a,b", "50 %", "redis://:pass@host:1/0", "a;b#c", "it's"])
def test_render_preserves_environment_values(tmp_path: Path, value: str) -> None:
    text = render([program(environment={"VALUE": value})], layout(tmp_path), tmp_path / "s")

    environment = parsed(text)["program:thing"]["environment"].replace("%%", "%")
    assert dict_of_key_value_pairs(environment)["VALUE"] == value


@pytest.mark.parametrize("value", ['a "quote"', "back\\slash", "two\nlines", "comment ; here", "comment # here"])
def test_render_of_unsupported_characters_raises(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError):
        render([program(environment={"VALUE": value})], layout(tmp_path), tmp_path / "s")


def test_render_of_a_changed_file_changes_the_program(tmp_path: Path) -> None:
    def with_file(text: str) -> str:
        return render([program(files=lambda: {tmp_path / "thing.conf": text})], layout(tmp_path), tmp_path / "s")

    assert with_file("a") == with_file("a")
    assert with_file("a") != with_file("b")

"""The contracts load everywhere: they import the standard library, msgspec and each other."""

import ast
import sys
from pathlib import Path

from include.local.project import ROOT

ALLOWED = {*sys.stdlib_module_names, "msgspec"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(f"{'.' * node.level}{node.module or ''}")
    return names


def is_foreign(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] not in ALLOWED and not name.startswith("include.contracts")


def test_contracts_import_the_standard_library_and_msgspec_only() -> None:
    files = sorted((ROOT / "include" / "contracts").glob("*.py"))
    foreign = {path.name: bad for path in files if (bad := {name for name in imported(path) if is_foreign(name)})}

    assert files
    assert foreign == {}

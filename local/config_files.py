"""The servers' files in `config/`, which docker-compose.yaml mounts and the local stack renders."""

from collections.abc import Mapping
from string import Template

from include.contracts.errors import TerminalError
from local.project import ROOT

CONFIG = ROOT / "config"


def render(name: str, variables: Mapping[str, object] | None = None) -> str:
    """Return a file of `config/` with its `${VARIABLES}` replaced.

    Args:
        name: Path below `config/`.
        variables: Value of each variable of the file.

    Returns:
        The text of the file.

    Raises:
        TerminalError: A variable has no value.
    """
    try:
        return Template((CONFIG / name).read_text(encoding="utf-8")).substitute(variables or {})
    except (KeyError, ValueError) as error:
        action = "give the variable a value in local/servers"
        raise TerminalError(f"render config/{name} failed: {error}", action) from error


def read_environment(name: str) -> dict[str, str]:
    """Return the variables of an environment file of `config/`."""
    lines = (line for line in render(name).splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)

"""Names that the project does not use, because no reader would search for them, each with the field's terms."""

import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

WORDS = {
    "asked": "request",
    "away": "unavailable",
    "dealt": "shuffled, permuted",
    "emission": "labelled_record",
    "found": "record, row, response, result",
    "held": "cached, stored",
    "judge": "evaluate, process",
    "kept": "retained, stored",
    "letters": "dead_letters",
    "made_up": "factories",
    "night": "run",
    "patiently": "with_retries",
    "say": "log, on_progress",
    "spoil": "inject_fault",
    "told": "summary, message",
}
"""Identifier -> what to use instead. Whole identifiers count, with or without leading underscores, in any case."""
FOLDERS = ("benchmarks", "cli", "dags", "docker", "drills", "flink", "include", "local", "plugins", "tests", "tools")


def violations(root: Path) -> Iterator[str]:
    """Yield `path:line: name, use ...` for each identifier and module name in WORDS.

    Raises SyntaxError for a file that Python cannot tokenize.
    """
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            yield from _of_module(path, path.relative_to(root))


def _of_module(path: Path, name: Path) -> Iterator[str]:
    if term := WORDS.get(name.stem.removeprefix("test_")):
        yield f"{name}: use {term}"
    with tokenize.open(path) as file:
        yield from _of_tokens(tokenize.generate_tokens(file.readline), name)


def _of_tokens(tokens: Iterable[tokenize.TokenInfo], name: Path) -> Iterator[str]:
    for token in tokens:
        term = WORDS.get(token.string.strip("_").lower()) if token.type == tokenize.NAME else None
        if term:
            yield f"{name}:{token.start[0]}: {token.string}, use {term}"

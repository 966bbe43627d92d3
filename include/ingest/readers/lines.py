"""Lines of a log file, plain or gzip, with their numbers, and statistics of the lines that are invalid."""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from msgspec import Struct

from include.contracts.errors import SourceFormatError

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_REPORTED_BAD_LINES = 20
_GZIP = b"\x1f\x8b"
_BOM = "\ufeff"
_CHUNK = 1 << 20


class Line(NamedTuple):
    """One line without its end; `text` is None if it cannot be read, with the reason in `flaw`."""

    number: int
    text: str | None
    error_reason: str = ""


class BadLine(Struct, frozen=True):
    """An invalid line: its number, counted from 1, and the reason."""

    line: int
    reason: str


class BadLineError(ValueError):
    """A line is invalid; the text is the reason."""


class ReaderStats:
    """Counts of a reader: data lines, bad lines, and others by name (`cancelled`, `split`)."""

    def __init__(self) -> None:
        self.lines = 0
        self.bad = 0
        self.first_bad: list[BadLine] = []
        self.counts: Counter[str] = Counter()

    def reject(self, number: int, reason: str) -> None:
        """Count a bad line; the first `MAX_REPORTED_BAD_LINES` are stored with their reasons."""
        self.bad += 1
        if len(self.first_bad) < MAX_REPORTED_BAD_LINES:
            self.first_bad.append(BadLine(number, reason))


def read_lines(path: Path) -> Iterator[Line]:
    """Yield every line of a file except blank ones, with at most `MAX_LINE_BYTES` of it in memory.

    Raises SourceFormatError if the file is missing or empty, or if its gzip stream is broken. The message then has the
    number of the last readable line.
    """
    number = 0
    try:
        with _open(path) as stream:
            for number, raw, is_complete in _read_raw_lines(stream):
                line = _decode(number, raw, is_complete)
                if line.text != "":
                    yield line
    except FileNotFoundError:
        raise SourceFormatError(f"no file at {path}", "check the path") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceFormatError(
            f"{path} is a broken gzip file, readable up to line {number}", f"copy or download it again ({error})"
        ) from None
    except OSError as error:
        raise SourceFormatError(f"{path} cannot be read", error.strerror or str(error)) from None
    if number == 0:
        raise SourceFormatError(f"{path} is empty", "use a file that contains a log")


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        is_gzip = stream.read(len(_GZIP)) == _GZIP
    return cast("BinaryIO", gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _read_raw_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Yield number, bytes and completeness of each line; the rest of an overlong line is skipped."""
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES):
        number += 1
        is_complete = raw.endswith(b"\n") or len(raw) < MAX_LINE_BYTES
        rest = raw
        while not rest.endswith(b"\n") and (rest := stream.readline(_CHUNK)):
            pass
        yield number, raw, is_complete


def _decode(number: int, raw: bytes, is_complete: bool) -> Line:
    if not is_complete:
        return Line(number, None, f"is longer than {MAX_LINE_BYTES} bytes")
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return Line(number, None, "is not UTF-8")
    return Line(number, text.removeprefix(_BOM) if number == 1 else text)


def read_csv_rows(
    lines: Iterable[Line], stats: ReaderStats, columns: tuple[str, ...]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each data line of a CSV file in the order of `columns`, with the line's number.

    The first line names the columns, in any order. Each line is parsed separately, so an open quote affects one line
    only. Raises SourceFormatError if a column is missing.
    """
    source = iter(lines)
    header = next(source)
    names = split_csv_line(header.text or "")
    missing = [name for name in columns if name not in names]
    if missing:
        raise SourceFormatError(f"the first line lacks the column(s) {', '.join(missing)}", "select the correct format")
    order = [names.index(name) for name in columns]
    is_same_order = order == list(range(len(names)))
    for line in source:
        stats.lines += 1
        try:
            row = split_csv_line(_text(line))
        except BadLineError as error:
            stats.reject(line.number, str(error))
            continue
        if len(row) != len(names):
            stats.reject(line.number, f"has {len(row)} cells instead of {len(names)}")
            continue
        yield line.number, row if is_same_order else [row[location] for location in order]


def _text(line: Line) -> str:
    if line.text is None:
        raise BadLineError(line.error_reason)
    return line.text


def split_csv_line(text: str) -> list[str]:
    """Return the cells of one CSV line.

    Raises:
        BadLineError: The line is not CSV, for example because of an open quote.
    """
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise BadLineError(f"is not CSV: {error}") from None

"""UCI "Online Shoppers Purchasing Intention" as samples.

C. O. Sakar, Y. Kastro, UCI Machine Learning Repository, 2018, CC BY 4.0: 12,330 sessions, each of a different user, in
the months February to December of one year.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.batch.encode import Encoder, Flags, Kinds, Log, Share
from include.batch.samples import Floats, Labels, Matrix, Rows, Samples
from include.contracts.errors import TerminalError

FILE = "online_shoppers_intention.csv"
OUTCOME = "Revenue"
MONTHS = ("Feb", "Mar", "May", "June", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_NUMBERS = (2, 3, 5, 6, 7, 8, 9, 10, 11, 12)
VISITORS = ("Returning_Visitor", "New_Visitor", "Other")
TEST_FROM = 11
"""The temporal task is tested on November and December."""

ENCODERS: dict[str, Encoder] = {
    "Administrative": Log(30),
    "Administrative_Duration": Log(3600),
    "Informational": Log(30),
    "Informational_Duration": Log(3600),
    "ProductRelated": Log(500),
    "ProductRelated_Duration": Log(36_000),
    "BounceRates": Share(0.2),
    "ExitRates": Share(0.2),
    "PageValues": Log(300),
    "SpecialDay": Share(1.0),
    "Month": Kinds(MONTH_NUMBERS),
    "OperatingSystems": Kinds(tuple(range(1, 9))),
    "Browser": Kinds(tuple(range(1, 14))),
    "Region": Kinds(tuple(range(1, 10))),
    "TrafficType": Kinds(tuple(range(1, 21))),
    "VisitorType": Kinds((0, 1, 2)),
    "Weekend": Flags(),
}
"""Every field of a session with its encoder; no constant is estimated from the data."""

ALL = tuple(ENCODERS)
WITHOUT_PAGE_VALUES = tuple(name for name in ALL if name != "PageValues")
"""PageValues is computed from completed transactions, so it leaks the outcome."""

WITHOUT_PERIOD = tuple(name for name in WITHOUT_PAGE_VALUES if name != "Month")
"""Without the month too, because a month that is not in the training data has no information."""


@dataclass(frozen=True)
class ShopperData:
    """Data of n sessions.

    `fields` are (n,) numbers as recorded, `y` (n,) the outcomes. `group` (n,) is equal for equal sessions.
    """

    fields: dict[str, Floats]
    y: Labels
    group: Rows

    def __len__(self) -> int:
        return len(self.y)

    def samples(self, columns: Sequence[str] = ALL) -> Samples:
        """Return the sessions with these fields only.

        Raises:
            TerminalError: a field is unknown.
        """
        missing = [name for name in columns if name not in ENCODERS]
        if missing:
            raise TerminalError(f"unknown fields {', '.join(missing)}", f"choose among: {', '.join(ALL)}")
        x: list[Matrix] = []
        z: list[Matrix] = []
        names: list[str] = []
        for name in columns:
            encoder, values = ENCODERS[name], self.fields[name]
            x.append(encoder.raw(values))
            z.append(encoder.scaled(values))
            names.extend(encoder.names(name))
        return Samples(np.hstack(x), np.hstack(z), self.y, self.group, tuple(names))

    def months(self, first: int, last: int) -> Rows:
        """Return the row numbers of the sessions of these months (1-12), both included."""
        month = self.fields["Month"]
        return np.flatnonzero((month >= first) & (month <= last))


def read(path: Path) -> ShopperData:
    """Read the published file.

    Raises:
        TerminalError: the file is missing or differs from the published file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != (*ALL, OUTCOME):
                raise TerminalError(f"{path} has other columns than the published file", _REMEDY)
            texts = list(rows)
    except OSError as error:
        raise TerminalError(f"reading {path} failed: {error.strerror}", _REMEDY) from error
    try:
        fields = {name: _numbers(name, (row[name] for row in texts)) for name in ALL}
        y = np.array([_FLAGS[row[OUTCOME].upper()] for row in texts], dtype=np.bool_)
    except (KeyError, ValueError, TypeError) as error:
        raise TerminalError(
            f"{path} has a value that the published file does not contain ({error})", _REMEDY
        ) from error
    return ShopperData(fields, y, duplicates(np.column_stack(list(fields.values()))))


def duplicates(rows: NDArray[np.float64]) -> Rows:
    """Return (n,) group numbers, equal for equal rows of (n, d).

    The outcome is not a column, so duplicates with different outcomes share a fold too.
    """
    _, group = np.unique(rows, axis=0, return_inverse=True)
    return group.astype(np.int64).ravel()


_REMEDY = f"give the UCI file (dataset 468) by --data FOLDER, named {FILE}"
_FLAGS = {"TRUE": True, "FALSE": False}
_CODES: dict[str, dict[str, float]] = {
    "Month": dict(zip(MONTHS, map(float, MONTH_NUMBERS), strict=True)),
    "VisitorType": {name: float(code) for code, name in enumerate(VISITORS)},
    "Weekend": {"TRUE": 1.0, "FALSE": 0.0},
}


def _numbers(name: str, texts: Iterable[str]) -> Floats:
    codes = _CODES.get(name)
    if codes is None:
        return np.array([float(text) for text in texts])
    return np.array([codes[text] for text in texts])

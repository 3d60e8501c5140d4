"""Which columns of a table are positions and counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.axes import Axis, named
from raybayes.observations.measured import Measured, coded
from raybayes.observations.options import Column, Reading, meant
from raybayes.observations.readers.tables import BESIDE, LISTED, QUOTED, WIDE, Table
from raybayes.observations.soundness import meaning

COUNTING = {"seq_num", "index", "point", "no", "nr", "#", "n"}  # where they rise by one
MONITORS = {"i0", "io", "mon", "monitor", "current", "ring", "srcur", *BESIDE}
PAIRS = 4  # columns of two profiles beside each other


def chosen(
    path: Path, table: Table, reading: Reading, told: tuple[str, ...]
) -> tuple[Measured, ...]:
    """A list, a profile, two profiles, or an image.

    Raises:
        InputError: it is not clear which columns are meant; all are named.
    """
    told = (*told, *table.told, *_above(table), *_wordy(table))
    if reading.columns is not None:
        picked: list[int] | None = [_place(path, table, column) for column in reading.columns]
    else:
        _all_read(path, table)
        picked, why = _usual(path, table)
        told = (*told, *why)
    if picked is None:
        meant(path, reading, "an image", "normalise")
        return (_image(path, table, told),)
    pairs = [picked[i : i + 2] for i in range(0, len(picked), 2)]
    return tuple(_profile(path, table, pair, reading, told) for pair in pairs)


def _above(table: Table) -> tuple[str, ...]:
    """What the file says above its numbers and nobody has understood."""
    if not table.above:
        return ()
    lines = "; ".join(repr(line.strip()[:QUOTED]) for line in table.above[:LISTED])
    more = f" and {len(table.above) - LISTED} more" if len(table.above) > LISTED else ""
    return (f"Not used, above the numbers: {lines}{more}.",)


def _wordy(table: Table) -> tuple[str, ...]:
    """The columns that hold no number, whatever their words may mean."""
    found = [_column(table, int(i)) for i in np.flatnonzero(table.words)]
    return (f"Not used, for want of numbers: {', '.join(found)}.",) if found else ()


def _column(table: Table, i: int) -> str:
    return f"column {i + 1} ({table.names[i]})" if table.names[i] else f"column {i + 1}"


def choose(table: Table) -> str:
    """What to do where it is not clear which columns are meant."""
    four = "; of two profiles, to four" if (~table.words).sum() >= PAIRS else ""
    return f"set columns to two of: {_listed(table)}{four}"


def _listed(table: Table) -> str:
    """The columns of numbers, to choose from."""
    shown = [
        f"{i} {name!r}" if name else str(i)
        for i, (name, word) in enumerate(zip(table.names, table.words, strict=True), 1)
        if not word
    ]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")


def _place(path: Path, table: Table, column: Column) -> int:
    """The index of a column that is named or numbered from 1."""
    names = [name.strip().lower() for name in table.names]
    bare = [named(name)[0].lower() for name in table.names]
    if isinstance(column, str):
        wanted = column.strip().lower()
        found = [i for i, each in enumerate(names) if each == wanted]
        found = found or [i for i, each in enumerate(bare) if each == wanted]
        place = found[0] if len(found) == 1 else -1
    else:
        place = column - 1 if column <= len(names) else -1
    if place < 0:
        raise InputError(
            f"{path}: has no column {column!r} (or more than one); it has {_listed(table)}"
        )
    if table.words[place] or np.isnan(table.numbers[:, place]).all():
        raise InputError(f"{path}: column {column!r} holds no numbers; it has {_listed(table)}")
    return place


def _all_read(path: Path, table: Table) -> None:
    """Refuses a column that may be positions or counts, written so that no number is read."""
    if np.isnan(table.numbers).all():
        raise InputError(f"{path}: holds no numbers")
    if table.unread:
        raise InputError(
            f"{path}: {table.unread[0]!r} is no plain number; write numbers without units or "
            f"signs for thousands, or {choose(table)}"
        )


def _usual(path: Path, table: Table) -> tuple[list[int] | None, tuple[str, ...]]:
    """The columns that can only be meant, and how they were told; None for an image."""
    empty: Bools = np.asarray(np.isnan(table.numbers).all(axis=0))
    useful = [i for i in range(len(table.names)) if not empty[i]]
    if len(useful) <= 2 and len(table.names) <= 2:
        _no_total(path, table.numbers[:, useful[-1]], alone=len(useful) == 1)
        return useful, (_said(table, useful),) * any(table.names)
    headed = any(table.names)
    if not headed and len(useful) >= WIDE:
        return None, ()
    if headed:
        useful = [i for i in useful if not _counts_rows(table, i)] or useful
        if len(useful) > 2:  # of two, a constant one is a dark frame's
            useful = [i for i in useful if np.ptp(table.numbers[:, i]) != 0] or useful
    if len(useful) in (1, 2):
        return useful, (_said(table, useful),)
    if len(useful) == PAIRS and _two_profiles(table, useful):
        return useful, (
            f"Two profiles: along x {_said(table, useful[:2])[:-1]}; along y "
            f"{_said(table, useful[2:])}",
        )
    if not headed and len(table.numbers) > 1 and len(useful) == len(table.names) > PAIRS:
        return None, ()
    raise InputError(
        f"{path}: it is not clear which columns are positions and counts; {choose(table)}"
    )


def _no_total(path: Path, counts: Array, alone: bool) -> None:
    """Refuses a first row that says how many there are, and a last one with their sum."""
    if len(counts) < WIDE:
        return
    if alone and counts[0] == len(counts) - 1:
        raise InputError(
            f"{path}: its first number, {counts[0]:g}, is how many follow; remove it, if it is no "
            "reading"
        )
    if counts[-1] and np.isclose(counts[-1], counts[:-1].sum(), rtol=1e-4, atol=0):
        raise InputError(f"{path}: its last number is the sum of the others; remove it")


def _said(table: Table, picked: list[int]) -> str:
    what = [_column(table, i) for i in picked]
    return (
        f"Positions are {what[0]}, counts {what[1]}." if len(what) == 2 else f"Counts: {what[0]}."
    )


def _counts_rows(table: Table, i: int) -> bool:
    """Whether a column is the number or the time of a row."""
    values = table.numbers[:, i]
    name = named(table.names[i])[0].lower()
    rises = len(values) > 1 and bool((np.diff(values) == 1).all())
    return (rises and (values[0] in (0, 1) or name in COUNTING)) or name in BESIDE


def _two_profiles(table: Table, useful: list[int]) -> bool:
    along = [Axis(np.zeros(0), named(table.names[i])[0]).along for i in useful]
    return along[0] == "x" and along[2] == "y"


def _profile(
    path: Path, table: Table, picked: list[int], reading: Reading, told: tuple[str, ...]
) -> Measured:
    """Of one or two columns, without the rows at either end that have no reading."""
    monitor = None if reading.normalise is None else _place(path, table, reading.normalise)
    numbers = table.numbers[:, picked]
    counts = numbers[:, -1]
    if monitor is not None:
        counts, sentence = _normalised(path, table, counts, monitor)
        told = (*told, sentence)
    keep, sentences = _kept(path, table, table.blank[:, picked])
    told = (*told, *sentences)
    bad, what = coded(counts[keep])
    if bad is not None:
        told = (*told, f"{bad.sum()} readings are {what}, a code for no reading: masked.")
    told = (*told, *meaning(path, table.names[picked[-1]]))
    if len(picked) == 1:
        return Measured(counts[keep], bad=bad, told=told)
    name, unit = named(table.names[picked[0]])
    if not unit and reading.unit is None and reading.pixel_size is None:
        unit, told = "mm", (*told, "Positions are taken in mm (unit): the file does not say.")
    axis = Axis(numbers[keep, 0], name, unit)
    return Measured(counts[keep], (axis,), bad=bad, told=told)


def _kept(path: Path, table: Table, blank: Bools) -> tuple[slice, tuple[str, ...]]:
    """The rows between the first and the last that are filled; `blank` is [rows, 1 or 2]."""
    empty: Bools = np.asarray(blank.any(axis=1))
    unplaced: Bools = np.asarray(blank[:, :-1].any(axis=1))
    filled = np.flatnonzero(~empty)
    if len(filled) == 0:
        raise InputError(f"{path}: no row has both a position and a reading")
    inside = slice(int(filled[0]), int(filled[-1]) + 1)
    nowhere = np.flatnonzero(unplaced[inside])
    if len(nowhere):
        raise InputError(
            f"{path}:{table.lines[inside][nowhere[0]]}: has no position, between rows that have "
            f"({len(nowhere)} such rows); give it, or remove the rows"
        )
    holes = int(empty[inside].sum())
    told = [f"{holes} rows between others have no reading: masked."] if holes else []
    ends = len(empty) - len(empty[inside])
    if ends:
        told.append(f"{ends} of {len(empty)} rows, at the ends, have no reading.")
    return inside, tuple(told)


def _normalised(path: Path, table: Table, counts: Array, monitor: int) -> tuple[Array, str]:
    values = table.numbers[:, monitor]
    if not (values > 0).all():
        raise InputError(
            f"{path}: column {table.names[monitor] or monitor + 1} is to normalise, and is not "
            "above 0 everywhere"
        )
    return counts * values.mean() / values, (
        f"Divided by {table.names[monitor] or f'column {monitor + 1}'} and multiplied by its mean, "
        f"{values.mean():.5g}."
    )


def _image(path: Path, table: Table, told: tuple[str, ...]) -> Measured:
    """Of many columns; numbers of rows and columns beside it are no readings."""
    values, blank, lines, names = table.numbers, table.blank, table.lines, []
    ruled = [_ruled(values[0][1:]), _ruled(values[1:, 0])]
    if len(values) > 1 and _from_0(values[0]):
        values, blank, lines, names = values[1:], blank[1:], lines[1:], ["first row"]
    if len(values) > 1 and _from_0(values[:, 0]):
        values, blank, names = values[:, 1:], blank[:, 1:], [*names, "first column"]
    sides = ("first row", "first column")
    for side, rises in zip(sides, ruled, strict=True):  # one may count from 0, and the other not
        if rises and side not in names:
            raise InputError(
                f"{path}: its {side} rises like positions, and an image has readings there; remove "
                "it, and set pixel_size (mm)"
            )
    if min(values.shape) > 2 and any(map(_summed, (values, values.T))):
        raise InputError(f"{path}: its last row or column is the sum of the others; remove it")
    if names:
        told = (*told, f"Its {' and its '.join(names)} count from 0: left out.")
    if blank.any():
        row, column = np.argwhere(blank)[0]
        raise InputError(f"{path}:{lines[row]}: has no number in column {column + 1} of an image")
    return replace(Measured(values), told=told)


def _summed(values: Array) -> bool:
    """Whether the last column is the sum of the others."""
    sums = values[:, :-1].sum(axis=1)
    return bool(np.ptp(sums)) and bool(np.allclose(sums, values[:, -1], rtol=1e-3, atol=0))


def _ruled(line: Array) -> bool:
    """Whether it goes in even steps, as positions do and readings do not."""
    return len(line) > 2 and bool(line[0] != line[-1]) and Axis(line).even


def _from_0(line: Array) -> bool:
    """Whether it counts rows or columns, maybe with nothing in the corner, as pandas writes it."""
    corner = int(np.isnan(line[0]))
    return bool((line[corner:] == np.arange(len(line) - corner)).all())

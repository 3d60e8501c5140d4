"""The numbers of a text file: its separators, what stands above them."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.observations.axes import Axis, mm_in, named

# What data-acquisition programs write beside motors and counters.
BESIDE = {"time", "timestamp", "epoch", "seconds", "date", "uid", "scan_id", "dt"}
REMARK = re.compile(r"(?:^|(?<=\s))#.*")
COMMENT = re.compile(r"^\s*[#%!]+\s?")
DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|\d\d?:\d\d(:\d\d([.,]\d+)?)?( ?[AP]M)?"
    r"|(\d\d?[./-]){2}(\d\d){1,2}([T ,]+\d\d?:\d\d.*)?",
    re.IGNORECASE,
)
FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d+$)")  # the exponent of a double precision number
LIKE = re.compile(r"[+-]?[.,]?\d")
GROUPED, BARE = re.compile(r"[+-]?[1-9]\d{0,2}(?:[.,]\d{3})+"), re.compile(r"[+-]?\d{1,3}")
BLANK = ("", "na", "n/a", "null", "none", "-", "--", "#n/a", "nil")
SPACES = " "  # any run of them; the other separators stand for themselves
DIALECTS = [(sep, dot) for dot in ".," for sep in ("\t", ";", ",", SPACES) if sep != dot]
LOOKED_AT, LETTERS = 400, 100_000  # rows and their letters, from which the dialect is told
LINES = 2_000_000
HEADING = 4  # letters that a repeated comment has at least, to be a heading
QUOTED = 60  # letters of a line that is told
WIDE = 8  # columns that an image has at least
LISTED = 3  # of the lines above the numbers


@dataclass(frozen=True)
class Table:
    """The numbers of a text file.

    Attributes:
        numbers: [rows, columns]; NaN in columns of words and dates, and where a cell is blank.
        lines: [rows], of the file, from 1.
        blank: [rows, columns], where the file has no number in a column of numbers.
        words: [columns], which hold words or dates.
        names: of the columns as headed, or "".
        above: the other lines that stand above the numbers.
        told: sentences.
        unread: of columns that begin with a number and hold none, a cell each.
    """

    numbers: Array
    lines: list[int]
    blank: Bools
    words: Bools
    names: tuple[str, ...]
    above: tuple[str, ...]
    told: tuple[str, ...]
    unread: tuple[str, ...] = ()


def tabulated(path: Path, lines: list[str], decimal: str | None = None) -> Table:
    """The block of numbers at the file's end, with what stands above it.

    Raises:
        InputError: no numbers; a row unlike the others; a separator that could be a decimal comma.
    """
    if len(lines) > LINES:
        raise InputError(f"{path}: has {len(lines)} lines; give one profile or one image")
    plain = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and not _comment(line)]
    _one_table(path, lines, len(plain))
    separator, dot = _dialect(path, [line for _, line in plain], decimal)
    numbers = [i for i, _ in plain]
    comments = [COMMENT.sub("", line).strip() for line in lines if _comment(line)]
    told = ("Decimal commas.",) if dot == "," else ()
    image = _image([line for _, line in plain], separator, dot)
    if image is not None:
        _unbroken(path, numbers)
        none, width = np.zeros(image.shape, bool), image.shape[1]
        return Table(image, numbers, none, none[0], ("",) * width, tuple(comments), told)
    rows = list(split([line for _, line in plain], separator))
    width = _width(rows[len(rows) // 2 :])
    words = _words(rows, width, dot)
    first = _first(path, rows, width, words, dot)
    for line, row in zip(numbers[:first], rows[:first], strict=False):
        words_ = [word for cell in row for word in re.split(r"[\s,;]+", cell) if word]
        if all(map(_number, words_)):  # numbers are never left out as a heading
            raise InputError(f"{path}:{line}: has {len(words_)} numbers where the rows below have "
                             f"{width}")  # fmt: skip
    names, used = _names(rows[:first], width)
    above = [line for i, (_, line) in enumerate(plain[:first]) if i not in used]
    if not names and comments:  # as numpy.savetxt writes a header
        words_ = next(split([comments[-1]], separator), [])
        if len(words_) == width and (separator != SPACES or not any(map(_number, words_))):
            names, comments = tuple(words_), comments[:-1]
    if decimal is None:
        _ungrouped(path, rows[first:], words)
    array = _numbers(path, numbers[first:], rows[first:], words, dot)
    _one_way(path, array, _breaks(numbers[first:]), numbers[first:])
    return Table(
        array,
        numbers[first:],
        _blank(array, rows[first:], words),
        words,
        names or ("",) * width,
        (*above, *(c for c in comments if c)),
        told,
        _unread(rows[first:], words, names),
    )


def _unread(rows: list[list[str]], words: Bools, names: tuple[str, ...]) -> tuple[str, ...]:
    """A cell of each column of words that may be one of numbers, as "6.2 kcts" or "X=0.4" are."""
    found = []
    for j in map(int, np.flatnonzero(words)):
        cells = [row[j] for row in rows if j < len(row) and not _no_number(row[j])]
        like = [cell for cell in cells if LIKE.match(cell)]
        label = Axis(np.zeros(0), *named(names[j])) if names else None
        if label is not None and label.name.lower() in BESIDE:
            continue
        if like or (cells and label is not None and (label.known or label.along)):
            found.append((like or cells)[0])
    return tuple(found)


def _one_table(path: Path, lines: list[str], rows: int) -> None:
    """Refuses a comment that comes again between rows: it heads another table."""
    seen: dict[str, tuple[int, int]] = {}  # where it stood first, and how many rows above it
    above = 0
    for i, line in enumerate(lines, 1):
        bare = line.strip()
        if not _comment(line):
            above += bool(bare)
            continue
        if len(bare) < HEADING:
            continue
        before, upper = seen.setdefault(bare, (i, above))
        if upper < above < rows:
            raise InputError(
                f"{path}:{i}: another table begins here, as {bare[:QUOTED]!r} stood in "
                f"line {before} already; give a file for each"
            )


def _breaks(numbers: list[int]) -> list[int]:
    """Before which lines others stand; none where every other line is blank."""
    found = [i for i in range(1, len(numbers)) if numbers[i] > numbers[i - 1] + 1]
    return found if len(found) < len(numbers) // 2 else []


def _unbroken(path: Path, numbers: list[int]) -> None:
    """Refuses an image with lines between its rows that hold no numbers."""
    for i in _breaks(numbers):
        _another(path, numbers[i])


def _another(path: Path, line: int) -> None:
    raise InputError(
        f"{path}:{line}: after a line without numbers another table seems to begin; give a file "
        "for each, or remove that line"
    )


def _one_way(path: Path, array: Array, breaks: list[int], lines: list[int]) -> None:
    """Refuses positions that begin anew after a line without numbers."""
    if array.shape[1] < 2:
        return
    steps = np.diff(array[:, 0])
    for i in breaks:
        if 1 < i < len(array) and steps[i - 1] * np.nanmedian(steps) < 0:
            _another(path, lines[i])


def _image(lines: list[str], separator: str, dot: str) -> Array | None:
    """A plain image, by NumPy's reader, which is 20 times as fast; None where it is none."""
    cells = next(split(lines[:1], separator), [])
    if len(cells) < WIDE or not all(_number(cell, dot) for cell in cells):
        return None
    plain = (line.replace(",", ".") for line in lines) if dot == "," else lines
    try:
        return np.loadtxt(plain, delimiter=None if separator == SPACES else separator, ndmin=2)
    except ValueError:
        return None  # the slow way says where


def _comment(line: str) -> bool:
    return bool(COMMENT.match(line))


def split(lines: list[str], separator: str) -> Iterator[list[str]]:
    """Cells of each line, without what comes after a #."""
    bare = [REMARK.sub("", line).rstrip() for line in lines]
    if separator == SPACES:
        yield from (line.replace('"', "").split() for line in bare)
        return
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(bare, delimiter=separator, skipinitialspace=True)
    ]
    # A separator also at the end of all rows begins no column.
    width = _width(rows)
    closed = all(row[-1] == "" for row in rows if len(row) == width)
    for row in rows:
        yield row[:-1] if closed and len(row) > 1 and row[-1] == "" else row


def _number(cell: str, dot: str = ".") -> bool:
    try:
        as_float(cell, dot)
    except ValueError:
        return False
    return True


def as_float(cell: str, dot: str) -> float:
    """A number as written with that decimal sign."""
    if "_" in cell or (dot == "," and "." in cell):
        raise ValueError(cell)
    plain = cell.replace(",", ".") if dot == "," else cell
    try:
        return float(plain)
    except ValueError:
        return float(FORTRAN.sub("e", plain))


def _dialect(path: Path, lines: list[str], decimal: str | None) -> tuple[str, str]:
    """The separator and the decimal sign by which most of the lines are rows of numbers."""
    longest = max((len(line) for line in lines), default=1)
    sample = lines[-min(LOOKED_AT, max(LETTERS // longest, 4)) :]
    scores: dict[tuple[str, str], float] = {}
    for separator, dot in DIALECTS:
        if decimal is None or dot == decimal:
            scores[separator, dot] = _score(sample, separator, dot)
    best = max(scores.values(), default=0)
    if best == 0:
        raise InputError(f"{path}: holds no numbers")
    found = next(dialect for dialect in DIALECTS if scores.get(dialect) == best)
    if found == (",", ".") and decimal is None and scores[SPACES, ","] == best:
        _undecided(path, sample, len(lines) > len(sample) or not _headed(lines))
    return found


def _score(lines: list[str], separator: str, dot: str) -> float:
    """The share of the cells that are understood, in rows of one width that hold a number."""
    rows = list(split(lines, separator))
    width = _width(rows[len(rows) // 2 :])
    good = sum(
        sum(_number(c, dot) or _no_number(c) for c in row) / width
        for row in rows
        if len(row) == width and any(_number(c, dot) for c in row)
    )
    return good / len(rows) if rows else 0.0


def _headed(lines: list[str]) -> bool:
    """Whether a first line names two columns, as a comma between words does."""
    first = next(split(lines[:1], ","), [])
    return len(first) == 2 and not any(_number(cell) for cell in first)


def _undecided(path: Path, lines: list[str], unheaded: bool) -> None:
    """Refuses `6,25` where it could be one number or two."""
    pairs = [row for row in split(lines, ",") if len(row) == 2]
    whole = all(re.fullmatch(r"-?\d+", a) and re.fullmatch(r"\d+", b) for a, b in pairs)
    if not (whole and pairs and unheaded):
        return
    steps = np.diff([int(a) for a, _ in pairs])
    if len(steps) and (steps == steps[0]).all() and steps[0] != 0:
        return  # positions
    raise InputError(
        f"{path}: {lines[0][:QUOTED]!r} may be one number with a decimal comma or two numbers; set "
        'decimal to "," or "."'
    )


def _width(rows: list[list[str]]) -> int:
    """The number of cells that most rows have."""
    return Counter(len(row) for row in rows).most_common(1)[0][0] if rows else 0


def _no_number(cell: str) -> bool:
    return cell.lower() in BLANK or bool(DATE.fullmatch(cell))


def _words(rows: list[list[str]], width: int, dot: str) -> Bools:
    """[width]: the columns that hold no number, in the lower half of the file."""
    half = [row for row in rows[len(rows) // 2 :] if len(row) == width]
    return np.array([not any(_number(row[j], dot) for row in half) for j in range(width)])


def _first(path: Path, rows: list[list[str]], width: int, words: Bools, dot: str) -> int:
    """The first row from which on all is numbers."""
    if words.all():
        raise InputError(f"{path}: holds no numbers")

    def like(row: list[str]) -> bool:
        if len(row) != width:
            return False
        cells = [cell for cell, word in zip(row, words, strict=True) if not word]
        return all(_number(c, dot) or _no_number(c) for c in cells)

    return next((i for i, row in enumerate(rows) if like(row)), len(rows) - 1)


def _names(rows: list[list[str]], width: int) -> tuple[tuple[str, ...], set[int]]:
    """The names of the columns, with a row of units below them, and which rows they are."""
    if not rows or len(rows[-1]) != width:
        return (), set()
    last, i = rows[-1], len(rows) - 1
    units = [cell.strip("[]() ") for cell in last]
    if i and len(rows[-2]) == width and any(mm_in(unit) for unit in units):
        both = [f"{a} [{b}]" if b else a for a, b in zip(rows[-2], units, strict=True)]
        return tuple(both), {i, i - 1}
    return tuple(last), {i}


def _numbers(path: Path, lines: list[int], rows: list[list[str]], words: Bools, dot: str) -> Array:
    """[rows, columns]; the plain case in one step, which large images need."""
    if dot == "." and not words.any() and all(len(row) == len(words) for row in rows):
        try:
            return np.array(rows).astype(np.float64)
        except ValueError:
            pass  # some cell is none: the slow way knows which
    cells = [_cells(path, line, row, words, dot) for line, row in zip(lines, rows, strict=True)]
    return np.array(cells, np.float64).reshape(len(cells), len(words))


def _cells(path: Path, line: int, row: list[str], words: Bools, dot: str) -> list[float]:
    if len(row) != len(words):
        raise InputError(
            f"{path}:{line}: has {len(row)} numbers where the other rows have {len(words)}"
        )
    found = []
    for cell, word in zip(row, words, strict=True):
        if word or cell.lower() in BLANK:
            found.append(np.nan)
        elif _number(cell, dot):
            found.append(as_float(cell, dot))
        else:
            raise InputError(
                f"{path}:{line}: {cell[:40]!r} is not a row of numbers; "
                "write it without units and signs for thousands"
            )
    return found


def _ungrouped(path: Path, rows: list[list[str]], words: Bools) -> None:
    """Refuses a column like 6,216 and 951: its signs may part thousands, not decimals."""
    for j in np.flatnonzero(~words):
        cells = [row[j] for row in rows if j < len(row) and row[j].lower() not in BLANK]
        if not all(BARE.fullmatch(cell) or GROUPED.fullmatch(cell) for cell in cells):
            continue  # most end here at their first cell
        grouped = next((cell for cell in cells if GROUPED.fullmatch(cell)), None)
        bare = next((cell for cell in cells if BARE.fullmatch(cell)), None)
        if grouped and bare:
            raise InputError(
                f"{path}: {grouped!r} beside {bare!r} in column {j + 1} may be thousands or "
                "decimals; write it without signs for thousands; if they are decimals, set decimal"
            )


def _blank(array: Array, rows: list[list[str]], words: Bools) -> Bools:
    """Where a column of numbers has none."""
    if not np.isnan(array).any():
        return np.zeros(array.shape, bool)
    blank = [[cell.lower() in BLANK for cell in row] for row in rows]
    return np.array(blank).reshape(len(rows), len(words)) & ~words

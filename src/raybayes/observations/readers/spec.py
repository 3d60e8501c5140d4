"""Scans in SPEC's text files: #S begins one, #L names its columns, two spaces apart."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes.errors import InputError
from raybayes.observations.measured import Measured, one_frame
from raybayes.observations.options import Reading
from raybayes.observations.readers import columns
from raybayes.observations.readers.encoding import decoded
from raybayes.observations.readers.tables import Table, tabulated

SCAN = re.compile(r"^#S\s+(\d+)\s*(.*)$", re.MULTILINE)


def is_spec(text: str) -> bool:
    """Whether a text has scans of SPEC."""
    return bool(SCAN.search(text)) and "\n#L " in text


def read_spec(path: Path, reading: Reading) -> tuple[Measured, ...]:
    """One scan of a SPEC file."""
    one_frame(path, reading.frame)
    text, _ = decoded(path)
    if not is_spec(text):
        raise InputError(f"{path}: holds no scan (#S, #L) of SPEC")
    return read(path, text, reading)


def read(path: Path, text: str, reading: Reading) -> tuple[Measured, ...]:
    """One scan: the first motor along the last counter, unless `columns` names others."""
    begun = list(SCAN.finditer(text))
    scans = {int(m[1]): i for i, m in enumerate(begun)}
    number = int(begun[0][1]) if reading.scan is None else reading.scan
    listed = ", ".join(map(str, list(scans)[:12])) + (", ..." if len(scans) > 12 else "")
    if number not in scans:
        raise InputError(f"{path}: has no scan {number}; it has {listed}")
    i = scans[number]
    end = begun[i + 1].start() if i + 1 < len(begun) else len(text)
    table = _scan(path, text[begun[i].start() : end], text[: begun[i].start()].count("\n"))
    more = f"; set scan to another ({listed})" if len(scans) > 1 and reading.scan is None else ""
    told: tuple[str, ...] = (
        f"Scan {number} ({begun[i][2].strip()}) of {len(scans)} is read{more}.",
    )
    if reading.columns is None:  # as SPEC itself plots a scan
        if table.names[-1].lower() in columns.MONITORS:
            raise InputError(
                f"{path}: the last column, {table.names[-1]}, is no detector by its name; "
                f"{columns.choose(table)}"
            )
        reading = reading.model_copy(update={"columns": (1, len(table.names))})
        told = (*told, f"Positions are {table.names[0]}, counts {table.names[-1]}.")
    return columns.chosen(path, table, reading, told)


def _scan(path: Path, text: str, above: int) -> Table:
    lines = text.splitlines()
    header = [line for line in lines if line.startswith("#L ")]
    if not header:
        raise InputError(f"{path}:{above + 1}: this scan has no line #L with its columns' names")
    names = tuple(re.split(r"\s{2,}", header[-1][3:].strip()))
    rows, spectrum = [], False  # a spectrum goes on in the next line where one ends with \
    for line in lines:
        spectrum = spectrum or line.startswith("@")
        rows.append("" if spectrum or line.startswith("#") else line)
        spectrum = spectrum and line.rstrip().endswith("\\")
    if not any(row.strip() for row in rows):
        raise InputError(f"{path}:{above + 1}: this scan has no readings")
    table = tabulated(path, rows, ".")
    if table.numbers.shape[1] != len(names):
        raise InputError(
            f"{path}:{above + 1}: has {table.numbers.shape[1]} columns and {len(names)} names (#L)"
        )
    lines_ = [above + line for line in table.lines]
    return replace(table, names=names, lines=lines_, above=(), words=np.zeros(len(names), bool))

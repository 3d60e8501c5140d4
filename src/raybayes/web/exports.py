"""Results as files: table and draws as CSV, NeXus, page, pictures."""

import csv
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from raybayes.analysis.measurement import Inference
from raybayes.report.measurement_page import as_result, write_measurement_page
from raybayes.report.nexus import write_result
from raybayes.store import write_whole
from raybayes.study.run import Run

TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".nxs": "application/x-hdf5",
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
}


def exported(run: Run, result: Inference, kind: str, folder: Path) -> bytes:
    """One of EXPORTS, made when it is first asked for.

    Args:
        folder: of this result alone.
    """
    path = folder / kind
    if not path.exists():
        folder.mkdir(exist_ok=True)
        EXPORTS[kind](run, result, path)
    return path.read_bytes()


def _table(run: Run, result: Inference, path: Path) -> None:
    rows = result.table()
    write_whole(path, _csv(rows[0], (row.values() for row in rows)).encode())


def _draws(run: Run, result: Inference, path: Path) -> None:
    header = [p.label for p in result.parameters]
    write_whole(path, _csv(header, result.draws.tolist()).encode())


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _nexus(run: Run, result: Inference, path: Path) -> None:
    write_result(path, as_result(run, result))


def _page(run: Run, result: Inference, path: Path) -> None:
    """The page and all its pictures."""
    write_measurement_page(run, result, path.parent)


EXPORTS: dict[str, Callable[[Run, Inference, Path], None]] = {
    "table.csv": _table,
    "draws.csv": _draws,
    "result.nxs": _nexus,
    "report.html": _page,
    "profile.png": _page,
    "corner.png": _page,
}


def download_name(run: Run, result: Inference, kind: str) -> str:
    """Study, first file and kind, in letters that every file system takes."""
    stem = result.observation.files[0].partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{run.study.name}-{stem}-{kind}")

"""The runs that the page offers. A page names one by its id, never by a path."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from raybayes.errors import InputError, shown
from raybayes.study.run import MARK, Run, open_run, trained_file


@dataclass(frozen=True)
class Listed:
    """A run's folder; `trouble` says why it cannot be opened."""

    folder: Path
    run: Run | None
    trouble: str = ""

    @property
    def name(self) -> str:
        return self.run.study.name if self.run else self.folder.name


def find_runs(folders: Iterable[Path], trust_engine: bool = False) -> dict[str, Listed]:
    """All runs that are, or stand in, these folders, by their ids.

    Args:
        trust_engine: as for `open_run`.

    Raises:
        InputError: there is none.
    """
    folders = list(folders)
    found = [run for folder in folders for run in _runs(folder)]
    if not found:
        where = ", ".join(str(folder) for folder in folders)
        raise InputError(f"{where}: holds no run; make one: raybayes run ue112 --out out/ue112")
    return {str(number): _listed(folder, trust_engine) for number, folder in enumerate(found, 1)}


def _runs(folder: Path) -> list[Path]:
    if os.path.lexists(folder / MARK):
        return [folder]
    return sorted(mark.parent for mark in folder.glob(f"*/{MARK}"))


def _listed(folder: Path, trust_engine: bool) -> Listed:
    run = None
    try:
        run = open_run(folder, trust_engine)
        trained_file(run)
    except InputError as error:
        return Listed(folder, run, shown(error))
    return Listed(folder, run)

"""The runs that the page offers. A page names one by its id, never by a path."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from raybayes.errors import InputError
from raybayes.study.run import Run, open_run, trained_file


@dataclass(frozen=True)
class Listed:
    """A run's folder; `trouble` says why it cannot be opened."""

    folder: Path
    run: Run | None
    trouble: str = ""

    @property
    def name(self) -> str:
        return self.run.study.name if self.run else self.folder.name


def find_runs(folders: Iterable[Path]) -> dict[str, Listed]:
    """All runs that are, or stand in, these folders, by their ids.

    Raises:
        InputError: there is none.
    """
    folders = list(folders)
    found = [run for folder in folders for run in _runs(folder)]
    if not found:
        where = ", ".join(str(folder) for folder in folders)
        raise InputError(f"{where}: holds no run; make one: raybayes run ue112 --out out/ue112")
    return {str(number): _listed(folder) for number, folder in enumerate(found, 1)}


def _runs(folder: Path) -> list[Path]:
    if (folder / "study.json").exists():
        return [folder]
    return sorted(mark.parent for mark in folder.glob("*/study.json"))


def _listed(folder: Path) -> Listed:
    run = None
    try:
        run = open_run(folder)
        trained_file(run)
    except InputError as error:
        return Listed(folder, run, str(error))
    return Listed(folder, run)

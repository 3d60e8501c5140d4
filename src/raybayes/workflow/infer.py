"""Infer from measured files."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raybayes.analysis.measurement import Inference, infer, measure
from raybayes.observations import Observation
from raybayes.store import make_folder
from raybayes.study.run import Run, open_run

LONGEST = 100  # letters of the files' names in a folder's


def infer_files(
    out: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    to: str | os.PathLike[str] | None = None,
    changes: dict[str, Any] | None = None,
    seed: int = 0,
    trust_engine: bool = False,
) -> dict[str, Any]:
    """Infer from measured files and write page and NeXus file.

    Args:
        out: the folder of a finished run.
        to: the folder of the results; default: one in the run's, named after all files and their
            content, so that another measurement of the same name gets its own.
        changes: of the study's table [observation].
        trust_engine: run the program or function that the folder's study names.

    Returns:
        the table, the beam in numbers, the alarms, what was done to the data, and where the files
        are.
    """
    run = open_run(out, trust_engine)
    observation = measure(run, paths, changes or {})
    # Pictures are slow to load: nobody waits for them before a file is refused.
    from raybayes.report.frame_picture import in_letters

    result = infer(run, observation, seed)
    folder = Path(to) if to else run.folder / "observations" / folder_name(result.observation)
    return {
        "study": run.study.name,
        "parameters": result.table(),
        "beam": result.beam(run.study.detectors),
        "alarms": list(result.alarms),
        "done": list(result.observation.done),
        "picture": in_letters(result.observation),
        "written": write(run, result, folder),
    }


def folder_name(observation: Observation) -> str:
    """The files' names, and the beginning of a checksum over theirs."""
    names = "+".join(observation.files)[:LONGEST]
    own = hashlib.sha256("".join(observation.checksums).encode()).hexdigest()
    return f"{names}-{own[:8]}"


def write(run: Run, result: Inference, folder: Path) -> dict[str, str]:
    """The result as NeXus, and its page; where they are."""
    from raybayes.report.measurement_page import as_result, write_measurement_page
    from raybayes.report.nexus import write_result

    make_folder(folder)
    nexus = folder / "result.nxs"
    write_result(nexus, as_result(run, result))
    return {"report": str(write_measurement_page(run, result, folder)), "nexus": str(nexus)}

"""The files that a beamline's parameters name."""

import hashlib
import os
from pathlib import Path

from raybayes.beamline.model import Beamline, Element
from raybayes.errors import InputError
from raybayes.store import read_whole

LARGEST = 1 << 30  # bytes of such a file
READ = ("undulatorFile", "photonEnergyDistributionFile", "profileFile")


def contents(beamline: Beamline) -> list[str]:
    """Hashes of the files that the tracer would read, in their order."""
    every = (find_file(beamline, e, id_) for e in beamline.elements for id_ in READ)
    return [_hash(path) for path in every if path is not None]


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(read_whole(path, LARGEST)).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def find_file(beamline: Beamline, element: Element, id_: str) -> Path | None:
    """A file that a parameter names: where RAY-UI had it, or beside the RML file."""
    param = element.params.get(id_)
    if param is None or not isinstance(param.text, str):
        return None
    folder = Path(beamline.path).parent
    names = [param.text, param.attributes.get("absolute", ""), param.attributes.get("relative", "")]
    for name in filter(None, names):
        portable = name.replace("\\", "/")
        for path in (folder / portable, folder / os.path.basename(portable)):
            if _is_file(path):
                return path
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name that this machine could have
        return False

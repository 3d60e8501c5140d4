"""What RAY-UI computed and stored, beside what we compute: another road to the same numbers."""

import numpy as np

from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.model import Beamline, Param
from raybayes.errors import InputError

CLOSE = 1e-9  # of a value: what differences of arithmetic leave


def differences(beamline: Beamline) -> list[str]:
    """A sentence for each automatic value of a file that is not the one that follows here.

    None where the beamline cannot be compiled: tracing it says why.
    """
    try:
        derived = compile_beamline(beamline).derived
    except InputError:
        return []
    found = []
    for element in beamline.elements:
        for id_, values in derived.get(element.name, {}).items():
            param, value = element.params.get(id_), float(np.ravel(values)[0])
            if param is not None and param.auto and not _agree(param, value):
                found.append(
                    f"{beamline.path}:{param.line}: {element.type} {element.name!r}, parameter "
                    f"{id_!r}: the file has {param.text}, but {value:.12g} follows from its other "
                    "parameters, which is taken; was it edited after RAY-UI wrote it?"
                )
    return found


def _agree(param: Param, value: float) -> bool:
    """Within the digits that the file has, of what is a number at all."""
    stored = param.number(np.nan)
    digits = str(param.text).lower().partition("e")[0].partition(".")[2]
    exponent = np.floor(np.log10(abs(stored))) if "e" in str(param.text).lower() and stored else 0
    rounding = 0.51 * 10.0 ** (exponent - len(digits)) if digits else 0.0
    return not np.isfinite(stored) or abs(stored - value) <= rounding + CLOSE * max(1, abs(value))

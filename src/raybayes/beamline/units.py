"""Units that RAY-UI's files may name, and what a number in one is in another."""

import math
import unicodedata

# The size of each unit in its quantity's first one; RAY-UI writes several names for some.
QUANTITIES: dict[str, dict[str, float]] = {
    "angle": {
        "rad": 1.0,
        "mrad": 1e-3,
        "urad": 1e-6,
        "µrad": 1e-6,
        "deg": math.pi / 180,
        "°": math.pi / 180,
        "arcsec": math.pi / 180 / 3600,
        "sec": math.pi / 180 / 3600,
    },
    "length": {
        "mm": 1.0,
        "nm": 1e-6,
        "um": 1e-3,
        "µm": 1e-3,
        "cm": 10.0,
        "m": 1e3,
        "km": 1e6,
    },
    "energy": {"eV": 1.0, "meV": 1e-3, "keV": 1e3, "MeV": 1e6, "GeV": 1e9},
    "lines": {"1/mm": 1.0, "l/mm": 1.0, "lines/mm": 1.0, "1/um": 1e3, "1/µm": 1e3},
    "density": {"g/cm3": 1.0, "g/cm³": 1.0, "g/cm^3": 1.0, "kg/m3": 1e-3, "kg/m³": 1e-3},
    "volume": {"nm3": 1.0, "nm³": 1.0, "nm^3": 1.0},
    "share": {"%": 1.0},
    "current": {"mA": 1.0, "A": 1e3},
    "field": {"T": 1.0},
    "power": {"W": 1.0, "kW": 1e3},
    "time": {"psec": 1.0, "ps": 1.0, "fs": 1e-3, "ns": 1e3},
    "mass": {"u": 1.0},
}


def _plain(unit: str) -> str:
    """One spelling of letters that look alike: both signs of micro, cm3 and cm³."""
    return unicodedata.normalize("NFKC", unit.strip())


PLAIN = [{_plain(unit): size for unit, size in sizes.items()} for sizes in QUANTITIES.values()]


def factor(unit: str, wanted: str) -> float | None:
    """By what a number in one unit is multiplied to be in another; None where they do not fit.

    1 exactly where both are names of one unit.
    """
    given, wanted = _plain(unit), _plain(wanted)
    if given == wanted:
        return 1.0
    for sizes in PLAIN:
        if given in sizes and wanted in sizes:
            return 1.0 if sizes[given] == sizes[wanted] else sizes[given] / sizes[wanted]
    return None

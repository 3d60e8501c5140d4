"""Where readings lie: positions or edges, with the name and the unit that the file gives them."""

import re
from dataclasses import dataclass, replace

import numpy as np

from raybayes.array_types import Array

# mm in one of each, by the names that people and programs write.
LENGTHS = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    # the Greek mu and the micro sign both
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "mum"), 1e-3),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), 1e-3),
    **dict.fromkeys(("inch", "inches"), 25.4),
    **dict.fromkeys(("mil", "mils", "thou"), 0.0254),
    **dict.fromkeys(("Å", "angstrom", "angstroms"), 1e-7),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1e-6),
}
PIXELS = ("px", "pixel", "pixels")
MOTOR = r"(?:sam|sample|sl|slit|s|t|m|mot|motor|w|wire|k|knife|stage|det|d|p|pos|scan)"
HORIZONTAL = re.compile(rf"x|h|hor|horizontal|cols?|columns?|width|{MOTOR}[xh]")
VERTICAL = re.compile(rf"y|v|ver|vert|vertical|rows?|lines?|height|{MOTOR}[yv]")
# "x [um]", "Position (µm)", "x / mm", "x, um", "pos_mm"
WITH_UNIT = re.compile(r"^(.*?)\s*(?:\[([^\]]*)\]|\(([^)]*)\)|[/,]\s*(\S+)|_([a-zµμ]+))\s*$")


# Words of names: positions that do not rise up or outboard, or are not the middles of bins.
TURNED = {
    *("down", "downward", "downwards", "left", "inboard", "inward", "inwards", "depth", "below"),
    *("inverted", "minus", "neg", "negative", "reversed", "flipped", "unten", "abwärts", "links"),
    *("tiefe", "innen", "bas", "gauche", "下", "左"),
}
BORDERS = {
    *("edge", "edges", "low", "lower", "upper", "lo", "min", "from", "begin", "von", "kante"),
    *("grenze", "untergrenze", "klassenuntergrenze", "bord", "borne", "下限", "左端"),
    *(f"{side}{word}" for side in "xyhv" for word in ("edge", "edges", "lo", "low", "min")),
}
OF_BINS = {"left", "right", "high", "start", "end"}  # beside the word bin


@dataclass(frozen=True)
class Axis:
    """Where the readings along one side of an array lie.

    Attributes:
        values: [n] positions, or the [n + 1] edges between them, in `unit`.
        name: as the file has it; "" where it has none.
        unit: as the file has it; "" where it has none.
    """

    values: Array
    name: str = ""
    unit: str = ""

    @property
    def in_pixels(self) -> bool:
        return self.unit.strip().lower() in PIXELS

    @property
    def along(self) -> str:
        """ "x", "y", or "" where its name says neither."""
        word = re.split(r"[\s_\-.]+", self.name.strip().lower())
        if any(HORIZONTAL.fullmatch(part) for part in word):
            return "x"
        return "y" if any(VERTICAL.fullmatch(part) for part in word) else ""

    def odd(self, n: int) -> str:
        """Why n readings do not lie where its positions seem to, by its name; "" where they do."""
        parted = re.sub(r"([a-z])([A-Z])", r"\1 \2", self.name)
        words = {*re.split(r"[\W_]+", parted.lower())}
        border = words & BORDERS or (words & {"bin", "bins"} and words & OF_BINS)
        if len(self.values) == n and border:
            return "are edges of bins, not their middles; give the middles"
        if self.name.startswith("-") or "*-1" in self.name or words & TURNED:
            return "rise against up or outboard; give them the other way round"
        return ""

    @property
    def known(self) -> bool:
        """Whether its unit is one of length."""
        return mm_in(self.unit) is not None

    @property
    def even(self) -> bool:
        """Whether all its steps are alike, within the digits that tables print."""
        steps = np.diff(self.values)
        return len(steps) == 0 or float(np.ptp(steps)) <= 0.05 * float(np.abs(steps).mean())

    def in_mm(self) -> "Axis":
        """With positions in mm; its unit must be known."""
        factor = mm_in(self.unit)
        assert factor is not None
        return replace(self, values=factor * self.values, unit="mm")


def mm_in(unit: str) -> float | None:
    """mm in one of a unit of length; None for what is none."""
    return LENGTHS.get(unit.strip()) or LENGTHS.get(unit.strip().lower())


def named(label: str) -> tuple[str, str]:
    """Name and unit of a column's heading or a NeXus long_name; the unit is "" where none stands.

    What stands in brackets is a unit, also one that is not known; after a comma, a stroke or an
    underscore only what is known to be one.
    """
    found = WITH_UNIT.match(label)
    if found is None:
        return label.strip(), ""
    name, square, round_, after, under = found.groups()
    unit = square if square is not None else round_
    if unit is not None:
        return name.strip(), unit.strip()
    word = after or under
    if mm_in(word) is not None or word.lower() in PIXELS:
        return name.strip(), word
    return label.strip(), ""

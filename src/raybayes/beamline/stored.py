"""What RAY-UI computed and stored, beside what we compute: another road to the same numbers."""

import math
from collections.abc import Iterator

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.geometry import Compiled, compile_beamline
from raybayes.beamline.kinds import SX700, Shown
from raybayes.beamline.model import Beamline, Element, Param
from raybayes.beamline.schema import OBJECTS
from raybayes.beamline.shown import lattice, shown
from raybayes.beamline.source_schema import SOURCES
from raybayes.errors import InputError

CLOSE = 1e-9  # of a value: what differences of arithmetic leave
SHOWN_DIGITS = 6
MOUNTED = ("grazingIncAngle", "distancePreceding", "distancePremirrorGrating")  # of an SX700
ITERATED = 5e-5  # of a distance, which RAY-UI searches: up to 2 um off in 110 mm (HRRIXS)
AWAY, TURNED = 0.01, 1e-5  # mm, and of a direction: more than RAY-UI's own imprecision
AXES = ("worldXdirection", "worldYdirection", "worldZdirection")


def differences(beamline: Beamline) -> list[str]:
    """A sentence for each derived value of a file that is not the one that follows here.

    None where the beamline cannot be compiled: tracing it says why.
    """
    try:
        compiled = compile_beamline(beamline)
    except InputError:
        return []
    found = [
        _sentence(beamline, element, id_, value)
        for element in beamline.elements
        for id_, value in computed(beamline, element, compiled).items()
        if not agrees(element, id_, value)
    ]
    return found + list(_out_of_place(beamline, compiled))[:1]


def computed(beamline: Beamline, element: Element, compiled: Compiled) -> dict[str, float]:
    """All values of an element that RAY-UI derives, as far as they are computed here."""
    derived = compiled.derived.get(element.name, {})
    known = {id_: float(np.ravel(values)[0]) for id_, values in derived.items()}
    # Where a person set a value, the others follow from that one.
    given = {id_: element.number(id_) for id_ in known if _by_hand(element, id_)}
    found = known | lattice(element) if element.type == "Crystal" else known
    try:
        return found | shown(beamline, element, known | given, compiled.tables.hc)
    except (ArithmeticError, ValueError):  # of numbers out of any range
        return found


def _by_hand(element: Element, id_: str) -> bool:
    param = element.params.get(id_)
    return param is not None and bool(param.text) and not is_derived(element, id_)


def agrees(element: Element, id_: str, value: float) -> bool:
    """Whether a stored value, if RAY-UI derived it, is this one within its digits."""
    param = element.params.get(id_)
    if param is None or not is_derived(element, id_):
        return True
    stored = _number(param)
    if stored is None or stored == value:
        return True
    if not math.isfinite(stored - value):
        return False
    rounding = _rounding(str(param.text), stored, "auto" not in param.attributes)
    close = ITERATED if id_ in MOUNTED[1:] and element.number("systemMount") == SX700 else CLOSE
    return abs(stored - value) <= rounding + close * max(1, abs(value))


def is_derived(element: Element, id_: str) -> bool:
    """By RAY-UI from others: marked as auto, without a mark, or set by an SX700's mount."""
    attributes = element.params[id_].attributes
    if "auto" in attributes:
        return attributes["auto"] == "T"
    set_by_mount = id_ in MOUNTED and element.number("systemMount") == SX700
    return "enabled" not in attributes or set_by_mount


def _number(param: Param) -> float | None:
    """None of what is no number; "inf" is one, which RAY-UI shows."""
    try:
        return float(str(param.text))
    except ValueError:
        return None


def _rounding(text: str, stored: float, unmarked: bool) -> float:
    """Half of the last digit that the file has; RAY-UI gives six where it gives no mark."""
    mantissa, has_exponent, _ = text.lower().partition("e")
    digits = mantissa.partition(".")[2]
    size = math.floor(math.log10(abs(stored))) if stored and math.isfinite(stored) else 0
    least = 0.51 * 10.0 ** (size + 1 - SHOWN_DIGITS) if unmarked else 0.0
    last = 0.51 * 10.0 ** ((size if has_exponent else 0) - len(digits)) if digits else 0.0
    return max(least, last)


def _sentence(beamline: Beamline, element: Element, id_: str, value: float) -> str:
    param = element.params[id_]
    kept = isinstance(OBJECTS[element.type].get(id_), Shown) or element.type == "Crystal"
    taken = "" if kept else ", which is taken"
    return (
        f"{beamline.path}:{param.line}: {element.type} {element.name!r}, parameter {id_!r}: the "
        f"file has {param.text}, but {value:.12g} follows from its other parameters{taken}; was "
        "it edited after RAY-UI wrote it?"
    )


def _out_of_place(beamline: Beamline, compiled: Compiled) -> Iterator[str]:
    """The world coordinates that RAY-UI stored are never read: they say where it saw an element."""
    for i, element in enumerate(beamline.elements):
        stored = _world(element)
        if stored is None or _elsewhere(element):
            continue
        position, axes = stored
        off = np.abs(position - compiled.origins[0, i]).max()
        if off > AWAY or np.abs(axes - compiled.axes[0, i]).max() > TURNED:
            place = ", ".join(f"{x:.3f}" for x in compiled.origins[0, i])
            yield (
                f"{beamline.path}:{element.params['worldPosition'].line}: {element.type} "
                f"{element.name!r}: its stored world coordinates are not those that follow from "
                f"the parameters (it stands at {place} mm), which are taken, here and for those "
                "behind it; was the file edited after RAY-UI wrote it?"
            )


def _world(element: Element) -> tuple[Array, Array] | None:
    """[3] mm and [3, 3], whose columns are the axes."""
    params = [element.params.get(id_) for id_ in ("worldPosition", *AXES)]
    texts = [p.text for p in params if p is not None and not isinstance(p.text, str)]
    if len(texts) < len(params):
        return None
    position, *axes = np.array(texts, np.float64)
    return position, np.stack(axes, axis=1)


def _elsewhere(element: Element) -> bool:
    """RAY-UI shows a premirror where its blank is, and misaligns sources and ellipsoids later."""
    if element.type == "Plane Mirror" and element.number("systemMount") == SX700:
        return True
    other_axes = element.number("misalignmentCoordinateSystem", 1) == 0 or element.type in SOURCES
    return other_axes and element.number("alignmentError", 1) == 0

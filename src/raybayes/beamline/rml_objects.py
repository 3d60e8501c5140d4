"""The objects of an RML file: each checked against what RAY-UI knows, all faults collected."""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from raybayes.beamline.kinds import OPENINGS, Choice, Kind, Number, Shown, Text, Vector
from raybayes.beamline.model import Element, Param, number_text
from raybayes.beamline.rml_names import OLD, renamed, unclear
from raybayes.beamline.schema import OBJECTS
from raybayes.beamline.source_schema import SOURCES
from raybayes.beamline.units import factor
from raybayes.beamline.unmodelled import ALLOW
from raybayes.errors import InputError

ATTRIBUTES = frozenset({"id", "enabled", "auto", "comment", "absolute", "relative", "unit"})
AXES = ("x", "y", "z")
LINE = " line"  # no XML attribute can have this name
UNMARKED = (1, 16)  # from this version on, derived parameters stand without `enabled`
MOST = 20  # faults that are listed
NEEDED = ("totalWidth", "totalLength", "totalHeight", "distancePreceding")
PLANE = ("distanceImagePlane",)  # it sees all, whatever its size
# Not all that Python takes for a number: 1_0 and digits of other scripts are a slip.
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


class Left(Text):
    """A parameter that is not known: what it says is left as it stands."""


@dataclass(frozen=True)
class Place:
    """Where in the file we are, for messages."""

    path: Path
    line: int
    what: str

    def error(self, message: str) -> InputError:
        return InputError(f"{self.path}:{self.line}: {self.what}: {message}")


@dataclass
class Reading:
    """What is found while a file is read.

    Attributes:
        version: (1, 16) of "1.16".
        lenient: go on without parameters that are not known.
        faults: for which the file is refused; notes: sentences for the person.
    """

    path: Path
    version: tuple[int, ...]
    lenient: bool
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def place(self, node: ET.Element, what: str = "") -> Place:
        return Place(self.path, int(node.attrib[LINE]), what or f"<{node.tag}>")

    def refuse(self) -> None:
        """Raise all faults at once, where there are any."""
        if not self.faults:
            return
        if len(self.faults) == 1:
            raise InputError(self.faults[0])
        more = len(self.faults) - MOST
        lines = self.faults[:MOST] + ([f"and {more} more"] if more > 0 else [])
        raise InputError("\n".join([f"{len(self.faults)} things are wrong:", *lines]))


def read_objects(reading: Reading, beamline: ET.Element) -> tuple[Element, ...]:
    """The source, then the elements in beam order.

    Raises:
        InputError: all that is wrong.
    """
    found = []
    for node in _flat(reading, beamline):
        try:
            found.append(_read_object(reading, node))
        except InputError as error:
            reading.faults.append(str(error))
    reading.refuse()
    return _source_first(reading, reading.place(beamline), _apart(reading, found))


def _flat(reading: Reading, parent: ET.Element) -> Iterator[ET.Element]:
    """Objects in their order, also those in groups."""
    for node in parent:
        if node.tag != "group":
            yield node
            continue
        place = reading.place(node, f"group {node.get('name', '')!r}")
        own = [child for child in node if child.tag == "param"]
        if own:
            error = place.error(
                f"its own parameters move its elements, which is not modelled; {ALLOW}"
            )
            (reading.notes if reading.lenient else reading.faults).append(str(error))
        for child in own:
            node.remove(child)
        yield from _flat(reading, node)


def _apart(reading: Reading, elements: list[Element]) -> list[Element]:
    """With a number behind a name that an element before has."""
    taken = {element.name for element in elements}
    seen: set[str] = set()
    found = []
    for element in elements:
        name = element.name
        if name in seen:
            name = next(n for i in range(2, len(elements) + 2) if (n := f"{name}_{i}") not in taken)
            place = Place(reading.path, element.line, f"{element.type} {element.name!r}")
            reading.notes.append(
                str(place.error(f"its name is given twice; it is called {name!r}"))
            )
        taken.add(name)
        seen.add(name)
        found.append(replace(element, name=name))
    return found


def _source_first(reading: Reading, place: Place, elements: list[Element]) -> tuple[Element, ...]:
    """The one source, then the elements in beam order; RAY-UI lets the source stand later."""
    if not elements:
        raise place.error("the beamline is empty")
    sources = [e for e in elements if e.type in SOURCES]
    if not sources:
        raise place.error(f"there is no source in it; add one of {', '.join(sorted(SOURCES))}")
    first = next((e for e in elements if e in sources[1:]), None)
    if first is not None:
        here = Place(reading.path, first.line, f"{first.type} {first.name!r}")
        raise here.error("a beamline is one source, then elements in beam order")
    return (sources[0], *(e for e in elements if e is not sources[0]))


def _read_object(reading: Reading, node: ET.Element) -> Element:
    name, type_ = node.get("name", ""), node.get("type", "")
    place = reading.place(node, f"object {name!r}")
    if node.tag != "object" or not name:
        raise place.error(f"expected <object name=... type=...>, found <{node.tag}>")
    if type_ not in OBJECTS:
        raise place.error(f"unknown type {type_!r}; known are {', '.join(OBJECTS)}")
    params: dict[str, Param] = {}
    given: set[str] = set()
    for child in _parameters(reading, node, type_):
        id_ = child.get("id", "")
        given.add(id_)
        here = reading.place(child, f"{type_} {name!r}, parameter {id_!r}")
        try:
            if child.tag != "param" or not id_:
                raise here.error(f"expected <param id=...>, found <{child.tag}>")
            if id_ in params:
                raise here.error("it is given twice; delete one")
            kind = _spread(node) if id_ == "energySpread" else _kind(reading, here, child, type_)
            params[id_] = _read_param(here, child, kind)
        except InputError as error:
            reading.faults.append(str(error))
    reading.faults += [str(place.error(f"has no {id_}; add it")) for id_ in _missing(type_, given)]
    rest = {k: v for k, v in node.attrib.items() if k not in ("name", "type", LINE)}
    return Element(name, type_, params, place.line, rest)


def _missing(type_: str, given: set[str]) -> list[str]:
    """The sizes and distances without which no light would pass, or anywhere."""
    if type_ in SOURCES:
        return []
    needed: tuple[str, ...] = PLANE if type_.startswith("ImagePlane") else NEEDED
    if given & set(OPENINGS):  # a slit of version 1.13 has neither
        needed = (*needed, *OPENINGS)
    return [id_ for id_ in needed if id_ in OBJECTS[type_] and id_ not in given]


def _parameters(reading: Reading, node: ET.Element, type_: str) -> Iterator[ET.Element]:
    """In the names of today."""
    if reading.version != OLD:
        yield from node
        return
    for child in node:
        if unclear(child):
            here = reading.place(child, f"{type_}, parameter {child.get('id')!r}")
            error = here.error(
                "how version 1.0 turns and moves is not known here; save the file in a newer "
                f"RAY-UI, which names translationXerror, rotationXerror and so on, {ALLOW}"
            )
            (reading.notes if reading.lenient else reading.faults).append(str(error))
            child.text = "0"
        yield from renamed(child, type_)


def _kind(reading: Reading, place: Place, node: ET.Element, type_: str) -> Kind:
    """Of a parameter that is known; what is only shown may not be set by hand."""
    kind = OBJECTS[type_].get(node.get("id", ""))
    if kind is None or (isinstance(kind, Shown) and not _derived(reading, node)):
        return _unknown(reading, place, node, type_)
    return kind


def _derived(reading: Reading, node: ET.Element) -> bool:
    """By RAY-UI from others: from version 1.16 on these may stand without `enabled`."""
    unmarked = node.get("enabled") is None and reading.version >= UNMARKED
    return unmarked or node.get("enabled") == "F" or node.get("auto") == "T"


def _spread(source: ET.Element) -> Number:
    """An energy spread is in eV, or in % where the source says so."""
    unit = source.find("param[@id='energySpreadUnit']")
    return Number("%" if unit is not None and (unit.text or "").strip() == "1" else "eV")


def _unknown(reading: Reading, place: Place, node: ET.Element, type_: str) -> Kind:
    """A parameter that does not count, or that may be a feature which is not known.

    Greyed out it does not count; nor does one without `enabled` in files of version 1.16, which
    RAY-UI derives from others and shows.
    """
    enabled = node.get("enabled")
    if enabled is None and reading.version >= UNMARKED:
        said = "it is not known here; as RAY-UI derives it from others, it is left as it stands"
        reading.notes.append(str(place.error(said)))
    elif enabled != "F":
        error = place.error(f"a {type_} has no such parameter; remove it, {ALLOW}")
        if not reading.lenient:
            raise error
        reading.notes.append(str(error))
    return Left()


def _read_param(place: Place, node: ET.Element, kind: Kind) -> Param:
    attributes = _attributes(place, node)
    if isinstance(kind, Left):
        kind = Vector() if len(node) else kind
    elif isinstance(kind, Choice | Text):
        _no_unit(place, attributes, "")
    if isinstance(kind, Vector):
        return _read_vector(place, node, attributes)
    if len(node):
        raise place.error(f"expected one value, found <{node[0].tag}>")
    text = (node.text or "").strip()
    greyed = attributes.get("enabled") == "F"
    if isinstance(kind, Number | Shown):
        counts = isinstance(kind, Number) and not greyed
        return _read_number(place, text, kind.unit, attributes, counts)
    if isinstance(kind, Choice) and (text or not greyed):
        _check_choice(place, text, kind)
    return Param(text, attributes, place.line)


def _no_unit(place: Place, attributes: Mapping[str, str], own: str) -> None:
    """A choice or a text has none; a position is in mm."""
    unit = attributes.get("unit", own)
    if factor(unit, own) != 1:
        raise place.error(f"unit {unit!r} is not one of {own or 'a choice or a text'!r}")


def _read_vector(place: Place, node: ET.Element, attributes: Mapping[str, str]) -> Param:
    if node.get("id") == "worldPosition":  # directions, which RAY-UI also gives in mm, have none
        _no_unit(place, attributes, "mm")
    x, y, z = ((node.findtext(axis) or "").strip() for axis in AXES)
    for component in (x, y, z):
        _check_number(place, component)
    return Param((x, y, z), attributes, place.line)


def _check_choice(place: Place, text: str, kind: Choice) -> None:
    if _check_number(place, text) not in kind.words:
        words = ", ".join(f"{k} ({word})" for k, word in kind.words.items())
        raise place.error(f"{text} is not one of {words}")


def _attributes(place: Place, node: ET.Element) -> dict[str, str]:
    found = {k: v for k, v in node.attrib.items() if k not in ("id", LINE)}
    for name in found:
        if name not in ATTRIBUTES:
            raise place.error(f"unknown attribute {name!r}")
    for flag in ("enabled", "auto"):
        if found.get(flag, "T") not in ("T", "F"):
            raise place.error(f'{flag}="{found[flag]}" must be "T" or "F"')
    return found


def _read_number(
    place: Place, text: str, own: str, attributes: Mapping[str, str], counts: bool
) -> Param:
    """In RAY-UI's unit, whatever unit the file gives it in; one that does not count may be none."""
    unit = attributes.get("unit", own)
    times = factor(unit, own)
    if times is None:
        raise place.error(f"unit {unit!r} is not one of {own or 'a pure number'!r}")
    if times == 1:
        if counts:
            _check_number(place, text)
        return Param(text, attributes, place.line)
    if counts or NUMBER.fullmatch(text):
        value = _check_number(place, text) * times
        if not math.isfinite(value):
            raise place.error(f"{text!r} {unit} is not a finite number of {own}")
        text = number_text(value)
    return Param(text, {**attributes, "unit": own}, place.line)


def _check_number(place: Place, text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise place.error(f"{text!r} is not a finite number")
    return value

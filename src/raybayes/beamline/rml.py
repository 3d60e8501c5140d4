"""Read and write RAY-UI's RML files without loss, and say exactly where a file is wrong.

A beamline is plain data: objects in beam order, each a mapping of RAY-UI's parameter ids to
the text and attributes that the file holds. Numbers are parsed on the way in (so that errors
carry a line) and kept as text (so that writing gives back what was read).
"""

import math
import os
import warnings
import xml.etree.ElementTree as ET
import xml.sax
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import escape, quoteattr
from xml.sax.xmlreader import AttributesImpl, Locator

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from raybayes.beamline.kinds import Choice, Kind, Number, Text, Vector
from raybayes.beamline.model import Beamline, Element, Param
from raybayes.beamline.schema import OBJECTS
from raybayes.beamline.source_schema import SOURCES
from raybayes.beamline.unmodelled import not_modelled
from raybayes.errors import InputError
from raybayes.store import write_whole

ATTRIBUTES = frozenset({"id", "enabled", "auto", "comment", "absolute", "relative", "unit"})
AXES = ("x", "y", "z")


# --- reading -------------------------------------------------------------------------------


class _LineTree(ContentHandler):
    """SAX events -> an ElementTree whose nodes remember their line in the attribute LINE."""

    LINE = " line"  # no XML attribute can have this name

    def __init__(self) -> None:
        super().__init__()
        self.builder = ET.TreeBuilder()
        self.locator: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:
        self.locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        assert self.locator is not None
        line = str(self.locator.getLineNumber())
        self.builder.start(name, {**dict(attrs.items()), self.LINE: line})

    def endElement(self, name: str) -> None:
        self.builder.end(name)

    def characters(self, content: str) -> None:
        self.builder.data(content)


def _parse(path: Path) -> ET.Element:
    handler = _LineTree()
    try:
        with path.open("rb") as file:
            defusedxml.sax.parse(file, handler)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be read ({reason}); give an RML file") from error
    except xml.sax.SAXParseException as error:
        raise InputError(
            f"{path}:{error.getLineNumber()}: this is not well-formed XML "
            f"({error.getMessage()}); export the file from RAY-UI again"
        ) from error
    except DefusedXmlException as error:
        raise InputError(
            f"{path}: it declares XML entities, which RAY-UI never does; it was not read"
        ) from error
    return handler.builder.close()


def _line(node: ET.Element) -> int:
    return int(node.attrib[_LineTree.LINE])


@dataclass(frozen=True)
class _Place:
    """Where in the file we are, for messages."""

    path: Path
    line: int
    what: str

    def error(self, message: str) -> InputError:
        return InputError(f"{self.path}:{self.line}: {self.what}: {message}")


def read_rml(
    path: str | os.PathLike[str],
    unmodelled: Literal["error", "warn"] = "error",
    hc: float | None = None,
) -> Beamline:
    """Read a RAY-UI beamline.

    Args:
        path: the RML file, of version 1.1 to 1.16.
        unmodelled: "error" refuses, when the beamline is traced, a feature that it uses and
            raybayes does not model; "warn" warns here and traces without it.
        hc: in nm eV; None takes RAY-UI's 1239.841984332, or 1239.852 of older versions where
            the automatic angle of a grating in the file shows it.

    Raises:
        InputError: the file is missing, is not XML, or holds an object type, parameter,
            choice, unit or number that RAY-UI does not know; with file, line, element and
            parameter.
    """
    path = Path(path)
    root = _parse(path)
    place = _Place(path, _line(root), f"<{root.tag}>")
    if root.tag != "lab":
        raise place.error("an RML file begins with <lab>")
    beamline = root.find("beamline")
    if beamline is None:
        raise place.error("there is no <beamline> in it")
    unknown: list[str] | None = [] if unmodelled == "warn" else None
    elements = _source_first(place, tuple(_read_object(path, n, unknown) for n in beamline))
    if unknown is not None:
        for sentence in (*unknown, *not_modelled(elements, str(path))):
            warnings.warn(sentence, stacklevel=2)
    return Beamline(
        version=(root.findtext("version") or "").strip(),
        elements=elements,
        tail=tuple(_verbatim(n) for n in root if n.tag not in ("version", "beamline")),
        path=str(path),
        hc=hc,
        lenient=unmodelled == "warn",
    )


def _verbatim(node: ET.Element) -> str:
    for each in node.iter():
        each.attrib.pop(_LineTree.LINE, None)
    return ET.tostring(node, encoding="unicode").strip()


def _source_first(place: _Place, elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """The one source, then the elements in beam order; RAY-UI lets the source stand later."""
    if not elements:
        raise place.error("the beamline is empty")
    sources = [e for e in elements if e.type in SOURCES]
    for i, element in enumerate(elements):
        here = replace(place, line=element.line, what=f"{element.type} {element.name!r}")
        if not sources or element in sources[1:]:
            raise here.error("a beamline is one source, then elements in beam order")
        if any(other.name == element.name for other in elements[:i]):
            raise here.error("two objects have this name; rename one")
    if len(elements) < 2:
        raise place.error("there is nothing after the source; add an image plane")
    return (sources[0], *(e for e in elements if e is not sources[0]))


def _read_object(path: Path, node: ET.Element, unknown: list[str] | None) -> Element:
    name, type_ = node.get("name", ""), node.get("type", "")
    place = _Place(path, _line(node), f"object {name!r}")
    if node.tag != "object" or not name:
        raise place.error(f"expected <object name=... type=...>, found <{node.tag}>")
    if type_ not in OBJECTS:
        raise place.error(f"unknown type {type_!r}; known are {', '.join(OBJECTS)}")
    params: dict[str, Param] = {}
    for child in node:
        id_ = child.get("id", "")
        here = _Place(path, _line(child), f"{type_} {name!r}, parameter {id_!r}")
        if child.tag != "param" or not id_:
            raise here.error(f"expected <param id=...>, found <{child.tag}>")
        if id_ in params:
            raise here.error("it is given twice; delete one")
        kind = OBJECTS[type_].get(id_) or _unknown(here, child, type_, unknown)
        params[id_] = _read_param(here, child, kind)
    return Element(name, type_, params, place.line)


def _unknown(place: _Place, node: ET.Element, type_: str, unknown: list[str] | None) -> Kind:
    """Greyed out, a parameter does not count; else it may be a feature that we do not know."""
    if node.get("enabled") != "F":
        error = place.error(f"a {type_} has no such parameter")
        if unknown is None:
            raise error
        unknown.append(str(error))
    return Vector() if len(node) else Text()


def _read_param(place: _Place, node: ET.Element, kind: Kind) -> Param:
    attributes = {k: v for k, v in node.attrib.items() if k not in ("id", _LineTree.LINE)}
    for name in attributes:
        if name not in ATTRIBUTES:
            raise place.error(f"unknown attribute {name!r}")
    for flag in ("enabled", "auto"):
        if attributes.get(flag, "T") not in ("T", "F"):
            raise place.error(f'{flag}="{attributes[flag]}" must be "T" or "F"')
    if isinstance(kind, Vector):
        x, y, z = ((node.findtext(axis) or "").strip() for axis in AXES)
        for component in (x, y, z):
            _check_number(place, component)
        return Param((x, y, z), attributes, place.line)
    text = (node.text or "").strip()
    _check_value(place, text, kind, attributes)
    return Param(text, attributes, place.line)


def _check_value(place: _Place, text: str, kind: Kind, attributes: Mapping[str, str]) -> None:
    if isinstance(kind, Number):
        unit = attributes.get("unit", kind.unit)
        if unit != kind.unit:
            raise place.error(f"unit {unit!r} is not RAY-UI's; the value must be in {kind.unit!r}")
    greyed = attributes.get("enabled") == "F"
    if (isinstance(kind, Number) and not greyed) or (
        isinstance(kind, Choice) and (text or not greyed)
    ):
        value = _check_number(place, text)
        if isinstance(kind, Choice) and value not in kind.words:
            words = ", ".join(f"{k} ({word})" for k, word in kind.words.items())
            raise place.error(f"{text} is not one of {words}")


def _check_number(place: _Place, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise place.error(f"{text!r} is not a finite number")
    return value


# --- writing -------------------------------------------------------------------------------


def _lines(beamline: Beamline) -> Iterator[str]:
    yield "<?xml version='1.0' encoding='UTF-8'?>"
    yield "<lab>"
    yield f" <version>{escape(beamline.version)}</version>"
    yield " <beamline>"
    for element in beamline.elements:
        yield f"  <object name={quoteattr(element.name)} type={quoteattr(element.type)}>"
        for id_, param in element.params.items():
            yield from _param_lines(id_, param)
        yield "  </object>"
    yield " </beamline>"
    for block in beamline.tail:
        yield f" {block}"
    yield "</lab>"


def _param_lines(id_: str, param: Param) -> Iterator[str]:
    attributes = "".join(f" {a}={quoteattr(v)}" for a, v in param.attributes.items())
    head = f"   <param id={quoteattr(id_)}{attributes}>"
    if isinstance(param.text, str):
        yield f"{head}{escape(param.text)}</param>"
        return
    yield head
    for axis, text in zip(AXES, param.text, strict=True):
        yield f"    <{axis}>{text}</{axis}>"
    yield "   </param>"


def write_rml(beamline: Beamline, path: str | os.PathLike[str]) -> None:
    """Write a beamline as RAY-UI does; reading it again gives the same beamline."""
    write_whole(path, ("\n".join(_lines(beamline)) + "\n").encode())

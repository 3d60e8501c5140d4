"""Read and write RAY-UI's RML files without loss, and say exactly where a file is wrong.

A beamline is plain data: objects in beam order, each a mapping of RAY-UI's parameter ids to
the text and attributes that the file holds. Numbers are parsed on the way in (so that errors
carry a line) and kept as text (so that writing gives back what was read).
"""

import os
import warnings
import xml.etree.ElementTree as ET
import xml.sax
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import escape, quoteattr
from xml.sax.xmlreader import AttributesImpl, Locator

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from raybayes.beamline.model import Beamline, Param
from raybayes.beamline.rml_names import OLD, OLD_READ_AS
from raybayes.beamline.rml_objects import AXES, LINE, Reading, read_objects
from raybayes.beamline.stored import differences
from raybayes.beamline.unmodelled import not_modelled
from raybayes.errors import InputError
from raybayes.store import read_whole, write_whole

NEWEST = (1, 16)  # of the versions of RML that are known
LARGEST = 64 << 20  # bytes; RAY-UI's files have some 10 kB an element
DEEPEST = 100  # tags inside each other; RAY-UI has 5, and groups


# --- reading -------------------------------------------------------------------------------


class _LineTree(ContentHandler):
    """SAX events -> an ElementTree whose nodes remember their line in the attribute LINE."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.depth = path, 0
        self.builder = ET.TreeBuilder()
        self.locator: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:
        self.locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        assert self.locator is not None
        line = str(self.locator.getLineNumber())
        self.depth += 1
        if self.depth > DEEPEST:
            raise InputError(f"{self.path}:{line}: tags in tags in tags: this is no beamline")
        self.builder.start(name, {**dict(attrs.items()), LINE: line})

    def endElement(self, name: str) -> None:
        self.depth -= 1
        self.builder.end(name)

    def characters(self, content: str) -> None:
        self.builder.data(content)


def _parse(path: Path) -> ET.Element:
    handler = _LineTree(path)
    try:
        defusedxml.sax.parseString(read_whole(path, LARGEST), handler, forbid_dtd=True)
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
            f"{path}: it declares a document type or entities, which RAY-UI never does; it was "
            "not read"
        ) from error
    except InputError:
        raise
    except Exception as error:  # a codec that the file names raises what it likes
        raise InputError(
            f"{path}: its encoding is not one of text ({error}); export the file from RAY-UI again"
        ) from error
    return handler.builder.close()


def read_rml(
    path: str | os.PathLike[str],
    unmodelled: Literal["error", "warn"] = "error",
    hc: float | None = None,
) -> Beamline:
    """Read a RAY-UI beamline.

    Warns of what is read in another way than it stands: names that are given twice get numbers,
    groups are read as their elements, versions above 1.16 may say what is not known here, derived
    values that are not known are left as they stand, and those that do not follow from the others
    are computed anew. Version 1.0 is read as version 1.1.

    Args:
        path: the RML file, of version 1.0 to 1.16.
        unmodelled: "error" refuses a parameter that is not known and, when the beamline is traced,
            a feature that raybayes does not model; "warn" warns here and traces without them.
        hc: in nm eV; None takes RAY-UI's 1239.841984332, or 1239.852 of older versions where
            the automatic angle of a grating in the file shows it.

    Raises:
        InputError: the file is missing, is not XML, or holds an object type, parameter,
            choice, unit or number that RAY-UI does not know; all that is wrong at once, with file,
            line, element and parameter.
    """
    path = Path(path)
    root = _parse(path)
    version = (root.findtext("version") or "").strip()
    reading = Reading(path, _numbers_of(version), unmodelled == "warn")
    if root.tag != "lab":
        raise reading.place(root).error("an RML file begins with <lab>")
    elements = read_objects(reading, _beamline_of(reading, root))
    if _numbers_of(version) > NEWEST:
        reading.notes.append(
            f"{path}: version {version} of RML is newer than 1.16, the newest one that is known "
            "here; compare its trace with RAY-UI's"
        )
    if reading.lenient:
        reading.notes += not_modelled(elements, str(path))
    found = Beamline(
        version=OLD_READ_AS if _numbers_of(version) == OLD else version,
        elements=elements,
        tail=tuple(_verbatim(n) for n in root if n.tag not in ("version", "beamline")),
        path=str(path),
        hc=hc,
        lenient=reading.lenient,
    )
    for sentence in (*reading.notes, *differences(found)):
        warnings.warn(sentence, stacklevel=2)
    return found


def _beamline_of(reading: Reading, root: ET.Element) -> ET.Element:
    beamlines = root.findall("beamline")
    if not beamlines:
        raise reading.place(root).error("there is no <beamline> in it")
    if len(beamlines) > 1:
        raise reading.place(beamlines[1]).error("there is more than one in it; delete one")
    return beamlines[0]


def _numbers_of(version: str) -> tuple[int, ...]:
    """(1, 16) of "1.16"; () of what is no version."""
    parts = version.split(".")
    known = all(part.isdecimal() and len(part) < 10 for part in parts)
    return tuple(map(int, parts)) if known else ()


def _verbatim(node: ET.Element) -> str:
    for each in node.iter():
        each.attrib.pop(LINE, None)
    return ET.tostring(node, encoding="unicode").strip()


# --- writing -------------------------------------------------------------------------------


def _lines(beamline: Beamline) -> Iterator[str]:
    yield "<?xml version='1.0' encoding='UTF-8'?>"
    yield "<lab>"
    yield f" <version>{escape(beamline.version)}</version>"
    yield " <beamline>"
    for element in beamline.elements:
        own = {"name": element.name, "type": element.type, **element.attributes}
        yield f"  <object{_attributes(own)}>"
        for id_, param in element.params.items():
            yield from _param_lines(id_, param)
        yield "  </object>"
    yield " </beamline>"
    for block in beamline.tail:
        yield f" {block}"
    yield "</lab>"


def _attributes(named: Mapping[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in named.items())


def _param_lines(id_: str, param: Param) -> Iterator[str]:
    head = f"   <param{_attributes({'id': id_, **param.attributes})}>"
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

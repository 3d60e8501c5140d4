"""RML 1.0 named some parameters in another way; they are read as those of version 1.1."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

OLD, OLD_READ_AS = (1, 0), "1.1"  # versions of RML
SWITCH = "misalignmentAndSlope"
TURNED = {  # about x, y and z; whether their signs are those of today, no public file shows
    "verMisorientation": "rotationXerror",
    "horMisorientation": "rotationYerror",
    "longitudMisorientation": "rotationZerror",
}
MOVED = {
    "horOffset": "translationXerror",
    "verOffset": "translationYerror",
    "longitudOffset": "translationZerror",
}
NAMES = {**TURNED, **MOVED, "diffractionAngle": "deviationAngle"}
ACROSS = ("Slit", "Foil", "Aperture", "ImagePlane")  # of these a height is a height


def renamed(node: ET.Element, type_: str) -> Iterator[ET.Element]:
    """An object's parameter of version 1.0 as those that it is today."""
    id_ = node.get("id", "")
    if id_ == SWITCH:
        yield _called(node, "alignmentError")
        if type_ not in ACROSS:
            yield _called(node, "slopeError")
    elif id_ == "totalHeight" and type_ not in ACROSS:
        yield _called(node, "totalLength")
    else:
        yield _called(node, NAMES.get(id_, id_))


def unclear(node: ET.Element) -> bool:
    """Whether it moves or turns an element by a name of version 1.0."""
    zero = (node.text or "").strip().strip("-+0.") == ""
    return node.get("id") in {*TURNED, *MOVED} and node.get("enabled") != "F" and not zero


def _called(node: ET.Element, id_: str) -> ET.Element:
    found = ET.Element(node.tag, {**node.attrib, "id": id_})
    found.text = node.text
    found.extend(node)
    return found

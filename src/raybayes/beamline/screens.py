"""What the beam goes straight through: slits, apertures, foils, image planes."""

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.kinds import OPENINGS
from raybayes.beamline.model import Element
from raybayes.beamline.placement import Walk
from raybayes.optics.rows import (
    KIND,
    NO_STOP,
    OPENING,
    OPENING_SHAPE,
    SCREEN,
    STOP,
    TRAPEZOID,
)


def _screen(walk: Walk, element: Element, row: Array) -> None:
    distance, chi = walk.place(element)
    walk.advance(distance)
    walk.screen(element, chi)
    walk.across(row)
    row[:, KIND] = SCREEN


def slit(walk: Walk, element: Element, row: Array) -> None:
    """Frame, opening and beamstop. Up to version 1.13 the frame's size is the opening's."""
    _screen(walk, element, row)
    get = walk.values
    sizes = tuple(OPENINGS)
    shape = "openingShape"
    if sizes[0] in element.params or get.varies(element, *sizes):
        walk.outline(element, row, "totalHeight")
    elif element.number("geometricalShape") == TRAPEZOID:
        walk.outline(element, row, "totalHeight")
        sizes = ()
    else:
        sizes, shape = ("totalWidth", "totalHeight"), "geometricalShape"
    row[:, OPENING_SHAPE] = element.number(shape)
    for column, id_ in enumerate(sizes):
        missing = id_ not in element.params and not get.varies(element, id_)
        id_ = OPENINGS.get(id_, id_) if missing else id_
        size = get(element, id_, np.inf)
        get.check(element, id_, size >= 0, "an opening must not be negative")
        row[:, OPENING + column] = size / 2
    kind = element.number("centralBeamstop")
    if kind == 0:
        return
    row[:, STOP] = kind - 1  # RAY-UI counts none, rectangle, ellipse
    old = "totalWidthStop" in element.params
    for column, side in enumerate(("Width", "Height")):
        id_ = f"total{side}Stop" if old else f"stop{side}"
        row[:, STOP + 1 + column] = np.abs(get(element, id_)) / 2


def aperture(walk: Walk, element: Element, row: Array) -> None:
    """A hole in a wide screen; a negative mask is the screen's opposite, a stop."""
    _screen(walk, element, row)
    if element.number("maskType") == 0:
        walk.outline(element, row, "totalHeight")
        return
    get = walk.values
    row[:, STOP] = element.number("geometricalShape")
    row[:, STOP + 1] = np.abs(get(element, "totalWidth")) / 2
    row[:, STOP + 2] = np.abs(get(element, "totalHeight")) / 2


def foil(walk: Walk, element: Element, row: Array) -> None:
    """A foil, which takes intensity by its material."""
    _screen(walk, element, row)
    walk.outline(element, row, "totalHeight")


def image_plane(walk: Walk, element: Element, row: Array) -> None:
    """An image plane, at its distance along the beam."""
    _image(walk, element, row, _image_distance(walk, element))


def image_plane_bundle(walk: Walk, element: Element, row: Array) -> None:
    """Of the many planes of a bundle the one that RAY-UI shows: its current position."""
    start = walk.values(element, "startDistanceBundle")
    _image(walk, element, row, walk.values(element, "currentPosition", float(np.mean(start))))


def _image(walk: Walk, element: Element, row: Array, distance: Array) -> None:
    origin, path = walk.origin, walk.distance
    walk.advance(distance)
    walk.screen(element, 0.0)
    # RAY-UI: an image plane does not move the beam frame.
    walk.origin, walk.distance = origin, path
    walk.across(row)
    row[:, KIND] = SCREEN
    assert (row[:, STOP] == NO_STOP).all()


def _image_distance(walk: Walk, element: Element) -> Array:
    """From the file; early files have world coordinates instead."""
    get = walk.values
    world = element.params.get("worldPosition")
    if "distanceImagePlane" in element.params or get.varies(element, "distanceImagePlane"):
        return get(element, "distanceImagePlane")
    if world is None or "" in world.text:
        return np.asarray(0.0)
    position = np.array([float(text) for text in world.text])
    return np.einsum("...i,...i->...", position - walk.origin, walk.axes[..., :, 2])

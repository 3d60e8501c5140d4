"""Set parameters as RAY-UI would: what follows from them is computed and written back."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite

import numpy as np

from raybayes.beamline.geometry import Compiled, compile_beamline, hc_of
from raybayes.beamline.kinds import ALIGNMENT, OPENINGS, SX700
from raybayes.beamline.model import Beamline, Element, Param, number_text
from raybayes.beamline.placement import NO_PROFILE, SLOPES
from raybayes.beamline.stored import agrees, computed
from raybayes.errors import InputError

PLANES = ("ImagePlane", "ImagePlaneBundle")
WORLD_AXES = ("worldXdirection", "worldYdirection", "worldZdirection")


def with_values(beamline: Beamline, values: Mapping[str, float]) -> Beamline:
    """A copy with these parameters set ("ELEMENT.PARAMETER": value) and all others derived.

    A misalignment switches the element's alignment error on, a slope error its slope error. The
    result, written with `write_rml`, opens in RAY-UI.

    Raises:
        InputError: an unknown name, one that follows from others, or a value that is not finite
            or for which the geometry does not exist.
    """
    beamline = replace(beamline, hc=hc_of(beamline))  # the angles that show it may change now
    # Frames before openings, which may be the frames'.
    for name in sorted(values, key=lambda name: name.endswith(tuple(OPENINGS))):
        value, (element, id_) = values[name], beamline.find(name)
        if not np.isfinite(value):
            raise InputError(f"{name} = {value}: give a finite number")
        changes = _needed(element, id_) | {id_: _set(element.params.get(id_), float(value))}
        beamline = beamline.with_params(element.name, changes)
    result = refresh(beamline)
    for name, value in values.items():
        element, id_ = result.find(name)
        if element.number(id_) != float(value):
            raise InputError(
                f"{beamline.path}: {name} follows from other parameters, as the element's mount "
                "says; change those"
            )
    return result


def with_screen(beamline: Beamline, name: str) -> Beamline:
    """A copy that ends in an image plane where this element stands; what follows it is gone.

    Raises:
        InputError: no such element, or the source.
    """
    element = beamline[name]
    place = beamline.elements.index(element)
    if place == 0:
        raise InputError(f"{beamline.path}: a screen cannot stand in the source {name!r}")
    short = replace(beamline, elements=beamline.elements[:place], hc=hc_of(beamline))
    if element.type in PLANES:
        return replace(short, elements=(*short.elements, element))
    sx700 = element.number("systemMount") == SX700
    if sx700 and element.type == "Plane Grating":
        raise InputError(
            f"{beamline.path}: a screen cannot stand at {name!r}, whose premirror stands where the "
            "grating says; put it at the premirror or at a later element"
        )
    mount = compile_beamline(beamline).derived[name] if sx700 else {}
    distance = mount.get("distancePreceding", element.number("distancePreceding"))
    text = Param(number_text(float(np.ravel(distance)[0])), {"enabled": "T"})
    plane = Element(f"screen at {name}", "ImagePlane", {"distanceImagePlane": text})
    return replace(short, elements=(*short.elements, plane))


def _needed(element: Element, id_: str) -> dict[str, Param]:
    """What else must be set so that a parameter counts, all else being as it was."""
    zero, on = Param("0", {"enabled": "T"}), Param("0", {"comment": "Yes", "enabled": "T"})
    if id_ in ALIGNMENT and element.number("alignmentError", 1) != 0:
        ids = [other for other in ALIGNMENT if other in element.params]
        return dict.fromkeys(ids, zero) | {"alignmentError": on}
    if id_ in SLOPES and element.number("slopeError", 1) != 0:
        none = Param(str(NO_PROFILE), {"comment": "No", "enabled": "T"})
        profile = {"profileKind": none} if "profileKind" in element.params else {}
        return dict.fromkeys(SLOPES, zero) | profile | {"slopeError": on}
    if element.type == "Slit" and id_ in OPENINGS and not {*OPENINGS} & {*element.params}:
        # Up to version 1.13 the frame's size is the opening's.
        return {own: _set(None, element.number(frame)) for own, frame in OPENINGS.items()}
    return {}


def _set(param: Param | None, value: float) -> Param:
    attributes = dict(param.attributes) if param else {}
    if "auto" in attributes:
        attributes["auto"] = "F"
    return Param(number_text(value), attributes | {"enabled": "T"}, param.line if param else 0)


def refresh(beamline: Beamline) -> Beamline:
    """A copy in which every derived parameter and every world coordinate is computed anew."""
    compiled = compile_beamline(beamline)
    for i, element in enumerate(beamline.elements):
        changes = {
            id_: Param(number_text(float(value.flat[0])), element.params[id_].attributes)
            for id_, value in compiled.derived.get(element.name, {}).items()
            if id_ in element.params and _is_derived(element, id_)
        }
        changes |= _shown_anew(beamline, element, compiled)
        axes, origin = compiled.axes[0, i], compiled.origins[0, i]
        for id_, vector in zip(("worldPosition", *WORLD_AXES), (origin, *axes.T), strict=True):
            if id_ in element.params:
                text = tuple(f"{component:.16f}" for component in vector)
                changes[id_] = Param(text, element.params[id_].attributes)  # type: ignore[arg-type]
        beamline = beamline.with_params(element.name, changes)
    return beamline


def _shown_anew(beamline: Beamline, element: Element, compiled: Compiled) -> dict[str, Param]:
    """What RAY-UI derives besides, where it does not follow any more; no ray depends on it."""
    if element.type == "Crystal":  # its lattice is taken from the file
        return {}
    return {
        id_: Param(number_text(value), element.params[id_].attributes)
        for id_, value in computed(beamline, element, compiled).items()
        if isfinite(value) and not agrees(element, id_, value)
    }


def _is_derived(element: Element, id_: str) -> bool:
    """Computed by RAY-UI: marked auto, or greyed out because the mount sets it."""
    attributes = element.params[id_].attributes
    return attributes.get("auto") == "T" or (
        "auto" not in attributes and element.number("systemMount") == 1
    )

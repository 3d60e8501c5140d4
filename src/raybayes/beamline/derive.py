"""Set parameters as RAY-UI would: what follows from them is computed and written back."""

from collections.abc import Mapping
from dataclasses import replace

from raybayes.beamline.geometry import compile_beamline, hc_of
from raybayes.beamline.rml import Beamline, Element, Param
from raybayes.beamline.schema import ALIGNMENT
from raybayes.errors import InputError

WORLD_AXES = ("worldXdirection", "worldYdirection", "worldZdirection")


def with_values(beamline: Beamline, values: Mapping[str, float]) -> Beamline:
    """A copy with these parameters set ("ELEMENT.PARAMETER": value) and all others derived.

    A misalignment switches the element's alignment error on. The result, written with
    `write_rml`, opens in RAY-UI.

    Raises:
        InputError: an unknown name, or a value for which the geometry does not exist.
    """
    beamline = replace(beamline, hc=hc_of(beamline))  # the angles that tell it may change now
    for name, value in values.items():
        element, id_ = beamline.find(name)
        changes = {id_: _set(element.params.get(id_), float(value))}
        if id_ in ALIGNMENT and element.number("alignmentError", 1) != 0:
            changes = _alignment_on(element) | changes
        beamline = beamline.with_params(element.name, changes)
    return refresh(beamline)


def with_screen(beamline: Beamline, name: str) -> Beamline:
    """A copy that ends in an image plane where this element stands; what follows it is gone.

    Raises:
        InputError: no such element, or the source.
    """
    place = beamline.elements.index(beamline[name])
    if place == 0:
        raise InputError(f"{beamline.path}: a screen cannot stand in the source {name!r}")
    distance = Param(number_text(beamline[name].number("distancePreceding")), {"enabled": "T"})
    plane = Element(f"screen at {name}", "ImagePlane", {"distanceImagePlane": distance})
    return replace(beamline, elements=(*beamline.elements[:place], plane), hc=hc_of(beamline))


def _alignment_on(element: Element) -> dict[str, Param]:
    ids = [id_ for id_ in ALIGNMENT if id_ in element.params or id_ == "alignmentError"]
    on = {id_: Param("0", {"enabled": "T"}) for id_ in ids}
    on["alignmentError"] = Param("0", {"comment": "Yes", "enabled": "T"})
    return on


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
        axes, origin = compiled.axes[0, i], compiled.origins[0, i]
        for id_, vector in zip(("worldPosition", *WORLD_AXES), (origin, *axes.T), strict=True):
            if id_ in element.params:
                text = tuple(f"{component:.16f}" for component in vector)
                changes[id_] = Param(text, element.params[id_].attributes)  # type: ignore[arg-type]
        beamline = beamline.with_params(element.name, changes)
    return beamline


def _is_derived(element: Element, id_: str) -> bool:
    """Computed by RAY-UI: marked auto, or greyed out because the mount sets it."""
    attributes = element.params[id_].attributes
    return attributes.get("auto") == "T" or (
        "auto" not in attributes and element.number("systemMount") == 1
    )


def number_text(value: float) -> str:
    """The shortest text that reads back as the same float64; whole numbers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)

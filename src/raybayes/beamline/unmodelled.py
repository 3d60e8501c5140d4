"""What RAY-UI offers and this tracer does not follow, named to the person who asks for it."""

from collections.abc import Sequence

from raybayes.beamline.kinds import Choice
from raybayes.beamline.model import Element
from raybayes.beamline.schema import MODELLED, OBJECTS, ZERO_ONLY

ALLOW = "or trace without it: --allow-unmodelled, allow_unmodelled = true in a study"


def not_modelled(elements: Sequence[Element], path: str) -> list[str]:
    """One sentence for each choice that RAY-UI offers and this tracer does not follow."""
    found: list[str] = []
    for element in elements:
        for id_, allowed in MODELLED.items():
            found += _refuse(path, element, id_, allowed)
        found += _out_of_plane(path, element)
        found += [_not_zero(path, element, id_) for id_ in ZERO_ONLY if _counts(element, id_)]
    return found


def _counts(element: Element, id_: str) -> bool:
    """Whether a quantity that is not modelled is there, switched on and not zero."""
    param = element.params.get(id_)
    return (
        param is not None
        and param.attributes.get("enabled") != "F"
        and _in_force(element, id_)
        and element.number(id_) != 0
    )


def _not_zero(path: str, element: Element, id_: str) -> str:
    return (
        f"{path}:{element.params[id_].line}: {element.type} {element.name!r}, parameter "
        f"{id_!r}: {element.number(id_):g} is not modelled; set it to 0, {ALLOW}"
    )


def _refuse(path: str, element: Element, id_: str, allowed: frozenset[int]) -> list[str]:
    kind = OBJECTS[element.type].get(id_)
    if not isinstance(kind, Choice) or not _in_force(element, id_):
        return []
    value = int(element.number(id_, min(allowed)))
    if value in allowed:
        return []
    words = ", ".join(f"{k} ({kind.words[k]})" for k in sorted(allowed) if k in kind.words)
    return [
        f"{path}:{element.params[id_].line}: {element.type} {element.name!r}, parameter "
        f"{id_!r}: {value} ({kind.words[value]}) is not modelled; set it to {words}, {ALLOW}"
    ]


def _out_of_plane(path: str, element: Element) -> list[str]:
    """Version 1.16 gives gratingMount another meaning, and the mount in elementMovement."""
    if "elementMovement" not in element.params or element.number("gratingMount") == 0:
        return []
    param = element.params["gratingMount"]
    word = param.attributes.get("comment", "")
    return [
        f"{path}:{param.line}: {element.type} {element.name!r}, parameter 'gratingMount': "
        f"{param.text} ({word}) beside elementMovement is not modelled; set it to 0 (in-plane "
        f"geometry - classical), {ALLOW}"
    ]


# A choice counts only where another one switches it on.
SWITCHES = {
    "profileKind": ("slopeError", 1, 0),
    "thermalDistortionAmp": ("slopeError", 1, 0),
    "cylindricalBowingAmp": ("slopeError", 1, 0),
    "lateralThicknessGradientCoating": ("reflectivityType", 0, 1),
    "lateralThicknessGradientCoating1": ("reflectivityType", 0, 1),
    "vlsUseDesignParameters": ("lineSpacing", 0, 1),
    "FresnelZOffset": ("designType", 1, 0),
}


def _in_force(element: Element, id_: str) -> bool:
    if id_ not in SWITCHES:
        return True
    switch, default, value = SWITCHES[id_]
    return element.number(switch, default) == value

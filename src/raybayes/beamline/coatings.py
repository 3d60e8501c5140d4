"""What surfaces are made of: RAY-UI's parameters -> layers; names of materials -> constants."""

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.kinds import SX700
from raybayes.beamline.model import Element
from raybayes.beamline.placement import Walk
from raybayes.beamline.schema import STRUCTURE_FACTORS
from raybayes.errors import InputError
from raybayes.optics.rows import (
    BILAYERS,
    COATING,
    COATING1,
    COATING2,
    CRYSTAL,
    FOIL,
    GIVEN,
    GIVEN_S,
    LATTICE,
    LAYERS,
    SUBSTRATE,
    TOP,
    TURN,
)

BY_MATERIAL = 1  # reflectivityType, transmissionType
ONE_COATING, MULTILAYER, MULTILAYER_WITH_TOP = 1, 2, 3  # surfaceCoating
UNKNOWN_PROFILE = 3  # lineProfile: the efficiency is a number in the file
MOST_BILAYERS = 1000


def coat(walk: Walk, element: Element, row: Array) -> None:
    """Whatever takes intensity at this element: nothing, a number, layers, a foil."""
    standing = element.number("systemMount") != SX700  # there the azimuths are 0 and 180 deg
    twice = 2 * np.deg2rad(walk.values(element, "azimuthalAngle") if standing else 0.0)
    row[:, TURN], row[:, TURN + 1] = np.cos(twice), np.sin(twice)
    if "lineProfile" in element.params:
        _efficiency(walk, element, row)
    elif element.type == "Foil":
        if element.number("transmissionType") == BY_MATERIAL:
            row[:, COATING] = FOIL
            _layer(walk, element, row, SUBSTRATE, "Substrate")
    elif element.type == "Crystal":
        _lattice(walk, element, row)
    elif element.number("reflectivityType") == BY_MATERIAL:
        row[:, COATING] = LAYERS
        _layers(walk, element, row)


def _efficiency(walk: Walk, element: Element, row: Array) -> None:
    """Of a grating, as given: one number, or what RAY-UI computed for its line profile.

    RAY-UI's tables of zone plates of gratingEfficiency 0.5 hold every ray, with S0 = 1.
    """
    if element.number("lineProfile") == UNKNOWN_PROFILE:
        if element.type != "Reflection Zoneplate" and _switched_on(element, "gratingEfficiency"):
            row[:, COATING] = GIVEN
            row[:, GIVEN_S] = row[:, GIVEN_S + 1] = _share(walk, element, "gratingEfficiency")
    elif element.number("reflectivityType") == BY_MATERIAL:
        _shown_efficiency(walk, element, row)


def _switched_on(element: Element, id_: str) -> bool:
    param = element.params.get(id_)
    return param is not None and param.attributes.get("enabled") != "F"


def _shown_efficiency(walk: Walk, element: Element, row: Array) -> None:
    get = walk.values
    if "reflectivitySenkrecht" not in element.params:
        get.not_modelled(
            element, "efficiencies from a line profile are not computed; give them in the file"
        )
        return
    row[:, COATING] = GIVEN
    row[:, GIVEN_S] = _share(walk, element, "reflectivitySenkrecht")
    row[:, GIVEN_S + 1] = _share(walk, element, "reflectivityParallel")
    row[:, GIVEN_S + 2] = np.deg2rad(get(element, "reflectivityPhase"))


def _lattice(walk: Walk, element: Element, row: Array) -> None:
    """Of a crystal: what RAY-UI shows of its lattice plane, computed from the Miller indices."""
    get = walk.values
    row[:, COATING] = CRYSTAL
    row[:, LATTICE] = get.positive(element, "dSpacing2")
    row[:, LATTICE + 1] = get.positive(element, "unitCellVolume")
    row[:, LATTICE + 2] = np.deg2rad(get(element, "offsetAngle"))
    for column, id_ in enumerate(STRUCTURE_FACTORS):
        row[:, LATTICE + 3 + column] = get(element, id_)
    for id_ in ("structureFactorReFH", "structureFactorReFHC"):
        get.check(element, id_, get(element, id_) != 0, "a forbidden reflection reflects nothing")


def _share(walk: Walk, element: Element, id_: str) -> Array:
    value = walk.values(element, id_)
    walk.values.check(element, id_, (value >= 0) & (value <= 1), "it lies between 0 and 1")
    return value


def _layers(walk: Walk, element: Element, row: Array) -> None:
    kind = element.number("surfaceCoating")
    _layer(walk, element, row, SUBSTRATE, "Substrate")
    row[:, [TOP, COATING1, COATING2]] = -1
    if kind >= ONE_COATING:
        row[:, BILAYERS] = 1
        _layer(walk, element, row, COATING1, "Coating1")
    if kind >= MULTILAYER:
        bilayers = walk.values(element, "numberLayer", 1)
        good = (bilayers >= 1) & (bilayers <= MOST_BILAYERS)
        walk.values.check(element, "numberLayer", good, f"it lies between 1 and {MOST_BILAYERS}")
        row[:, BILAYERS] = np.floor(bilayers)
        _layer(walk, element, row, COATING2, "Coating2")
    if kind == MULTILAYER_WITH_TOP:
        _layer(walk, element, row, TOP, "TopLayer")


def _layer(walk: Walk, element: Element, row: Array, column: int, name: str) -> None:
    get = walk.values
    row[:, column] = walk.material(_material(walk, element, name))
    row[:, column + 1] = _density(walk, element, name)
    for offset, id_ in ((2, f"thickness{name}"), (3, f"roughness{name}")):
        value = get(element, id_)
        get.check(element, id_, value >= 0, "it must not be negative")
        row[:, column + offset] = value


def _material(walk: Walk, element: Element, name: str) -> str:
    ids = (f"material{name}", f"element{name}")
    for id_ in ids:
        param = element.params.get(id_)
        if param is not None and isinstance(param.text, str) and param.text:
            return param.text
    raise walk.values.error(element, "it is by material, but no material is given", ids[0])


def _density(walk: Walk, element: Element, name: str) -> Array:
    """g/cm3, from the file; elements have one of their own."""
    id_ = f"density{name}"
    value = walk.values(element, id_)
    if np.all(value == 0):
        value = np.asarray(_natural_density(_material(walk, element, name)))
    walk.values.check(element, id_, value > 0, "a density must be positive")
    return value


def _natural_density(material: str) -> float:
    import periodictable

    try:
        return float(periodictable.formula(material).density or 0.0)
    except Exception:  # of its parser
        return 0.0


def media(materials: list[str], place: str, energy: Array) -> tuple[Array, Array]:
    """The constants of all materials of a beamline, on the union of their tables' energies.

    See `Tables.grid` and `Tables.factors`.

    Raises:
        InputError: a material is no chemical formula, or the tables do not reach the energy.
    """
    if not materials:
        return np.array([1.0, 1e6]), np.zeros((0, 2, 2))
    tables = [_table(material, place) for material in materials]
    low, high = max(t[0][0] for t in tables), min(t[0][-1] for t in tables)
    energy = np.ravel(energy)[np.ravel(energy) > 0]  # a distribution from a file has none
    if np.any(energy < low) or np.any(energy > high):
        raise InputError(
            f"{place}: the optical constants of {', '.join(materials)} are known from {low:.0f} to "
            f"{high:.0f} eV, not at {energy[0]:g} eV; set reflectivityType to 0"
        )
    grid = np.unique(np.concatenate([t[0] for t in tables]))
    factors = [np.stack([np.interp(grid, t[0], f) for f in t[1:]], axis=1) for t in tables]
    return grid, np.ascontiguousarray(factors)


def _table(material: str, place: str) -> tuple[Array, Array, Array]:
    """Energies (eV), f1 and f2 over the molar mass (mol/g) of a formula, as SiO2."""
    import periodictable

    try:
        formula = periodictable.formula(material)
        atoms, mass = formula.atoms, formula.mass
        tables = [(count, atom.xray.sftable) for atom, count in atoms.items()]
        known = mass > 0 and all(table is not None for _, table in tables)
    except Exception:  # its parser raises many kinds
        known = False
    if not known:
        raise InputError(
            f"{place}: the material {material!r} has no optical constants; write a chemical formula"
        )
    grid = np.unique(np.concatenate([t[0][np.isfinite(t[1])] for _, t in tables]))
    low = max(t[0][np.isfinite(t[1])][0] for _, t in tables)
    grid = grid[grid >= low]
    factors = [
        np.sum([c * _interpolated(grid, t[0], t[i]) for c, t in tables], axis=0) for i in (1, 2)
    ]
    return grid * 1e3, factors[0] / mass, factors[1] / mass


def _interpolated(grid: Array, energy: Array, values: Array) -> Array:
    known = np.isfinite(values)
    return np.interp(grid, energy[known], values[known])

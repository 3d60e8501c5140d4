"""Parameters -> a table of numbers, one row per element; thousands of thetas in one pass.

Everything is computed from RAY-UI's parameters, never from the world coordinates of a file:
those are stale wherever a script has edited it. All arithmetic broadcasts over a leading axis
of thetas, so a beamline at n thetas is one array [n, elements, columns].

Frames (RAY-UI): right-handed, z along the beam, y up. A mirror's surface lies in its xz plane
with the normal along +y; a slit's or image plane's opening lies in xy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.beamline import gratings, mirrors, screens
from raybayes.beamline.coatings import coat, media
from raybayes.beamline.emission import (
    EMISSION_COLUMNS,
    ENERGY,
    SIGMA_X,
    SIGMA_Y,
    SPREAD,
    emission_row,
)
from raybayes.beamline.model import Beamline, Element
from raybayes.beamline.placement import Placer, Walk
from raybayes.beamline.unmodelled import not_modelled
from raybayes.beamline.values import HC, HC_OLD, Values
from raybayes.errors import InputError
from raybayes.optics.rows import COATING, PERFECT, Tables

__all__ = [
    "EMISSION_COLUMNS",
    "ENERGY",
    "HC",
    "PLACERS",
    "SIGMA_X",
    "SIGMA_Y",
    "SPREAD",
    "Compiled",
    "compile_beamline",
    "hc_of",
]


FAR = 1e12  # mm (and eV): no beamline is longer
SEEN = 1e-7  # deg; a stored alpha is one of the two (of RML 1.0 to 3e-8), some 1e-5 apart
LARGEST = 1e40  # of any number in a row: a collimating mirror's radius may be 1e19 mm

PLACERS: dict[str, Placer] = {
    "Plane Mirror": mirrors.plane_mirror,
    "Sphere": mirrors.sphere,
    "Cylinder": mirrors.cylinder,
    "Toroid": mirrors.toroid,
    "Ellipsoid": mirrors.ellipsoid,
    "Paraboloid": mirrors.paraboloid,
    "Cone": mirrors.cone,
    "Experts Optics": mirrors.experts_optics,
    "Crystal": mirrors.crystal,
    "Plane Grating": gratings.plane_grating,
    "Spherical Grating": gratings.spherical_grating,
    "Toroidal Grating": gratings.toroidal_grating,
    "Reflection Zoneplate": gratings.zone_plate,
    "Slit": screens.slit,
    "Aperture": screens.aperture,
    "Foil": screens.foil,
    "ImagePlane": screens.image_plane,
    "ImagePlaneBundle": screens.image_plane_bundle,
}


@dataclass(frozen=True)
class Compiled:
    """One beamline at n thetas, as numbers.

    Attributes:
        names: of the elements after the source, in beam order.
        emission: [n, EMISSION_COLUMNS], the source.
        rows: [n, elements, COLUMNS], the elements.
        origins, axes: [n, 1 + elements, 3] and [n, 1 + elements, 3, 3], the frame of source
            and elements in the world (mm; the columns of an `axes` matrix are x, y, z).
        paths: [n, 1 + elements], the length of the design ray from the source, mm.
        derived: element -> parameter -> [n], what RAY-UI would compute and show.
        tables: what the rows point to: optical constants, measured profiles.
    """

    names: tuple[str, ...]
    emission: Array
    rows: Array
    origins: Array
    axes: Array
    paths: Array
    derived: dict[str, dict[str, Array]]
    tables: Tables

    @property
    def coated(self) -> bool:
        """Whether any element takes intensity from the rays that it lets pass."""
        return bool((self.rows[..., COATING] != PERFECT).any())

    def index(self, name: str) -> int:
        """Of an element in `names`."""
        if name not in self.names:
            raise InputError(f"there is no element {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


def compile_beamline(
    beamline: Beamline, names: Sequence[str] = (), theta: ArrayLike | None = None
) -> Compiled:
    """Compile one beamline at n thetas, the values of some of its parameters.

    Args:
        beamline: as read by `read_rml`.
        names: d parameters, "ELEMENT.PARAMETER", in RAY-UI's names and units.
        theta: [n, d], their values; None is one theta, as in the file.

    Raises:
        InputError: an unknown name, a feature that is not modelled, or values for which the
            geometry does not exist (an evanescent order, say).
    """
    if not beamline.lenient:
        for sentence in not_modelled(beamline.elements, beamline.path):
            raise InputError(sentence)
    hc = hc_of(beamline)
    values = Values.of(beamline, names, theta)
    with np.errstate(all="ignore"):  # _check_range says what is wrong
        emission = emission_row(values, hc)
        walk = Walk(values, hc)
        walk.down(PLACERS, coat)
    values.check_all_used()
    axes, origins = (np.stack(a, axis=1) for a in zip(*walk.frames, strict=True))
    _check_range(beamline, walk, emission)
    element_names = tuple(e.name for e in beamline.elements[1:])
    paths = np.stack(np.broadcast_arrays(*walk.paths), axis=1)
    constants = media(walk.materials, beamline.path, walk.energy)
    tables = Tables(*constants, hc, np.concatenate([np.zeros(0), *walk.heights]))
    return Compiled(element_names, emission, walk.rows, origins, axes, paths, walk.derived, tables)


def _check_range(beamline: Beamline, walk: Walk, emission: Array) -> None:
    """Numbers too large for float64 end here, not as a NaN or an infinity in a result."""
    origins = np.stack([origin for _, origin in walk.frames], axis=1)
    far = ~(np.abs(origins).max(axis=(0, 2), initial=0) < FAR)
    rows = np.where(np.isinf(walk.rows), 0, walk.rows)  # a cutout without limits
    bad = far | np.append(False, ~(np.abs(rows).max(axis=(0, 2), initial=0) < LARGEST))
    bad[0] |= not (np.abs(emission) < FAR).all()
    for element, is_bad in zip(beamline.elements, bad, strict=True):
        if is_bad:
            raise InputError(
                f"{beamline.path}:{element.line}: {element.type} {element.name!r}: its parameters "
                "(or those of an element before it) give no geometry: a number is out of range"
            )


def hc_of(beamline: Beamline) -> float:
    """hc in nm eV: as the caller says, or the one that a grating's stored angle shows.

    Older RAY-UI used 1239.852. No version number says so; a grating's automatic alpha shows it.
    """
    if beamline.hc is not None:
        return beamline.hc
    for element in beamline.elements[1:]:
        param = element.params.get("alpha")
        if param is None or not param.auto or "Grating" not in element.type:
            continue
        off = [_alpha_error(beamline, element, hc) for hc in (HC, HC_OLD)]
        if min(off) < SEEN:
            return HC if off[0] <= off[1] else HC_OLD
    return HC


def _alpha_error(beamline: Beamline, grating: Element, hc: float) -> float:
    walk = Walk(Values(replace(beamline, hc=hc), 1, {}), hc)
    # The stored alpha is what RAY-UI computed; compute it again whatever the mount.
    try:
        alpha, _ = gratings.grating_angles(walk, grating)
    except InputError:
        return np.inf
    return float(np.abs(np.rad2deg(alpha) - grating.number("alpha")).max())

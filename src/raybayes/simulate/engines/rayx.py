"""RAYX as an engine: it takes a file, so a theta is a file with world coordinates of ours.

It draws its own rays, without a seed; it reads no misalignment, only world coordinates; every slit
diffracts; and elements are hit in any order. So openings are cut by us, from RAYX's own hits, and
only rays with one hit on each element are kept; a warning says where others arrived.
"""

import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.derive import WORLD_AXES, with_values
from raybayes.beamline.emission import ENERGY, SIGMA_X, SIGMA_XP, SIGMA_Y, SIGMA_YP, SPREAD
from raybayes.beamline.geometry import Compiled, compile_beamline
from raybayes.beamline.model import Beamline, Element, Param, number_text
from raybayes.beamline.rml import write_rml
from raybayes.errors import InputError
from raybayes.optics.rows import (
    KIND,
    NO_STOP,
    OPENING,
    OPENING_SHAPE,
    PROFILE,
    RECTANGLE,
    SCREEN,
    STOP,
)
from raybayes.simulate.engines.protocol import Capabilities, Key, Scene, needs

SOURCES = ("Point Source", "Matrix Source", "Pixel Source", "Simple Undulator")
GAUSSIAN = "1"  # of a width's distribution
IN_EV = "0"  # of an energy spread
STRAY = 1e-3  # share of rays out of order that is worth a word
SIZES = ("openingWidth", "openingHeight", "totalWidth", "totalHeight")
WIDE = "100000"  # mm: nothing misses it, and nothing diffracts


@dataclass(frozen=True)
class Rayx:
    """RAYX's random rays, one theta at a time.

    Attributes:
        rays: of a theta.
    """

    scene: Scene
    rays: int

    @property
    def capabilities(self) -> Capabilities:
        # Its tori lose rays: at UE112 1.2 % of the peak where all stands as designed.
        return Capabilities(seeded=False, batched=False, tolerance=0.02)

    def check(self) -> "Rayx":
        """Refuse now what RAYX cannot read."""
        needs("rayx")
        source = self.scene.beamline.source
        if source.type not in SOURCES:
            raise InputError(
                f"engine rayx: {source.type} {source.name!r}: RAYX does not read it as RAY-UI "
                f"does; it can have {', '.join(SOURCES)}"
            )
        compiled = compile_beamline(self.scene.beamline)
        for name, row in zip(compiled.names, compiled.rows[0], strict=True):
            if row[PROFILE] > 0:
                raise InputError(
                    f"engine rayx: {name!r}: RAYX traces no measured profiles; set profileKind to 2"
                )
        return self

    def profiles(self, theta: Array, key: Key) -> tuple[Array, Array]:
        """As `Engine.profiles`; theta is [1, d]."""
        beamline = with_values(self.scene.beamline, self.scene.values(theta[0]))
        compiled = compile_beamline(beamline)
        with tempfile.TemporaryDirectory(prefix="raybayes-") as folder:
            path = Path(folder) / "theta.rml"
            write_rml(for_rayx(beamline, compiled, self.rays), path)
            traced = needs("rayx").import_beamline(str(path)).trace()
        at, weight = sequential(traced, compiled.rows[0])
        rng = np.random.default_rng((self.scene.seed, *key))
        profile = self.scene.detector.counted(at, weight, self.rays, rng)
        return profile[None], np.array([weight.sum() / self.rays])


def sequential(traced: Any, rows: Array) -> tuple[Array, Array]:
    """Of RAYX's events, x and y on the last element [2, n] and intensity [n] of the rays that hit
    each element once and pass its opening.

    Args:
        rows: [elements, columns].
    """
    path, hit = np.asarray(traced.path_id), np.asarray(traced.object_id)
    # On a plane that stands in the beam, RAYX's z is RAY-UI's y.
    at = np.stack((np.asarray(traced.position_x), np.asarray(traced.position_z)))
    good = hit == len(rows)
    good &= np.bincount(path)[path] == len(rows) + 1  # the source is an event, too
    astray = np.unique(path[1:][(np.diff(path) == 0) & (np.diff(hit) != 1)])
    if len(astray) > STRAY * (path.max() + 1):
        warnings.warn(
            f"RAYX does not trace this beamline sequentially: {len(astray) / (path.max() + 1):.1%} "
            "of its rays hit an element twice or out of order and are left out",
            stacklevel=2,
        )
    for k, row in enumerate(rows, start=1):
        if row[KIND] == SCREEN and _cut_by_us(row):
            out = (hit == k) & (np.abs(at) > row[OPENING : OPENING + 2, None]).any(axis=0)
            good &= ~np.isin(path, path[out])
    parts = (getattr(traced, f"electric_field_{axis}") for axis in "xyz")
    intensity = sum(np.abs(np.asarray(part)) ** 2 for part in parts)
    return at[:, good], np.asarray(intensity)[good]


def _cut_by_us(row: Array) -> bool:
    rectangle = row[OPENING_SHAPE] == RECTANGLE and row[STOP] == NO_STOP
    return bool(rectangle and np.isfinite(row[OPENING]))


def for_rayx(beamline: Beamline, compiled: Compiled, rays: int) -> Beamline:
    """A copy with all world coordinates, misalignment in them, a source that RAYX reads, and wide
    slits."""
    elements = []
    for i, element in enumerate(beamline.elements):
        axes, origin = compiled.axes[0, i], compiled.origins[0, i]
        world = zip(("worldPosition", *WORLD_AXES), (origin, *axes.T), strict=True)
        changes = {
            id_: Param((f"{v[0]:.17g}", f"{v[1]:.17g}", f"{v[2]:.17g}"), {"enabled": "T"})
            for id_, v in world
        }
        if element.type == "Slit" and _cut_by_us(compiled.rows[0, i - 1]):
            changes |= {id_: Param(WIDE, {"enabled": "T"}) for id_ in SIZES}
        elements.append(replace(element, params={**element.params, **changes}))
    elements[0] = _source(elements[0], compiled, rays)
    return replace(beamline, elements=tuple(elements))


def _source(source: Element, compiled: Compiled, rays: int) -> Element:
    """An undulator as a point source of the same sizes and divergences: RAYX's own gives NaN."""
    emission = compiled.emission[0]
    values = {"numberRays": str(rays), "energySpreadUnit": IN_EV}
    values["energySpread"] = number_text(float(emission[SPREAD]))
    if source.type == "Simple Undulator":
        sizes = {"sourceWidth": emission[SIGMA_X], "sourceHeight": emission[SIGMA_Y]}
        sizes |= {"horDiv": 1e3 * emission[SIGMA_XP], "verDiv": 1e3 * emission[SIGMA_YP]}
        sizes["photonEnergy"] = emission[ENERGY]
        values |= {id_: number_text(float(value)) for id_, value in sizes.items()}
        kinds = ("sourceWidth", "sourceHeight", "horDiv", "verDiv")
        values |= {f"{id_}Distribution": GAUSSIAN for id_ in kinds}
        source = replace(source, type="Point Source")
    changes = {id_: Param(text, {"enabled": "T"}) for id_, text in values.items()}
    return replace(source, params={**source.params, **changes})

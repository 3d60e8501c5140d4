"""A beamline at one theta, a plane, and the rays that it is asked with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np

from raybayes.beamline.geometry import Compiled
from raybayes.beamline.kinds import Number
from raybayes.beamline.model import Beamline
from raybayes.beamline.schema import OBJECTS
from raybayes.beamline.trace import Rays, compiled_for_rays, count_of, trace_compiled
from raybayes.errors import InputError
from raybayes.optics.rows import COATING, PERFECT


@dataclass(frozen=True)
class Probe:
    """What a traced plane is asked of; one compiled beamline serves many thetas.

    Attributes:
        compiled: at n thetas; i: the one that is meant.
        count: of rays.
        plane: an element's name, the source's, or None for the last element.
    """

    beamline: Beamline
    compiled: Compiled
    count: int
    plane: str | None = None
    seed: int = 0
    i: int = 0

    @classmethod
    def of(
        cls,
        beamline: Beamline,
        rays: int | None = None,
        plane: str | None = None,
        seed: int = 0,
        slit_diffraction: bool = False,
    ) -> "Probe":
        """Of a beamline as it is in its file; see `trace`.

        Raises:
            InputError: see `trace`.
        """
        count = count_of(beamline, rays, seed)
        compiled = compiled_for_rays(beamline, slit_diffraction=slit_diffraction)
        return cls(beamline, compiled, count, plane, seed)

    @property
    def stop(self) -> int:
        """How many elements stand up to the plane, the source not counted."""
        if self.plane == self.beamline.source.name:
            return 0
        names = self.compiled.names
        return len(names) if self.plane is None else self.compiled.index(self.plane) + 1

    @property
    def flux(self) -> float:
        """Photons per second that the source emits in its band; NaN where the file has none."""
        flux = self.beamline.source.number("photonFlux", np.nan)
        return flux if flux > 0 else float("nan")

    def rays(self) -> Rays:
        """Trace to the plane.

        Raises:
            InputError: there is no such plane.
        """
        b, c = self.beamline, self.compiled
        return trace_compiled(b, c, self.i, self.count, self.plane, self.seed, "sobol")

    def missed(self, rays: Rays) -> float:
        """Of the light that comes to the optical surface of the plane, the share that misses it.

        Light that no order of a grating takes counts as well. NaN on a plane across the beam,
        and where no light comes. `rays` are its own.
        """
        if rays.outline is None:
            return float("nan")
        coming = rays.stokes[0]
        if self.compiled.rows[self.i, self.stop - 1, COATING] != PERFECT:
            coming = self._uncoated().rays().stokes[0]  # the same rays, before the reflection
        misses = rays.lost_at == rays.plane
        total = coming[misses | rays.arrived].sum()
        return float(coming[misses].sum() / total) if total > 0 else float("nan")

    def _uncoated(self) -> "Probe":
        rows = self.compiled.rows.copy()
        rows[self.i, self.stop - 1, COATING] = PERFECT
        return replace(self, compiled=replace(self.compiled, rows=rows))


def check_names(beamline: Beamline, names: Sequence[str]) -> None:
    """All names "ELEMENT.PARAMETER" that the beamline does not have, at once.

    Raises:
        InputError: one sentence about all wrong names.
    """
    wrong = [said for name in names if (said := _wrong(beamline, name))]
    if wrong:
        have = ", ".join(e.name for e in beamline.elements)
        raise InputError(f"{beamline.path}: {'; '.join(wrong)}; the elements are {have}")


def _wrong(beamline: Beamline, name: str) -> str:
    """What is wrong with a name, and what may be meant; empty for a right one."""
    element_name, dot, id_ = name.rpartition(".")
    found = [e for e in beamline.elements if e.name == element_name]
    if not dot:
        return f"{name!r} is not ELEMENT.PARAMETER, as M1.radius"
    if not found:
        return f"{name}: there is no element {element_name!r}"
    numbers = [k for k, kind in OBJECTS[found[0].type].items() if isinstance(kind, Number)]
    if id_ in numbers:
        return ""
    near = get_close_matches(id_, numbers, n=3, cutoff=0.4)
    hint = f" (near it: {', '.join(near)})" if near else ""
    return f"{name}: {found[0].type} {element_name!r} has no numeric parameter {id_!r}{hint}"

"""Trace many rays through a beamline at one theta, in parallel over blocks of rays."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from raybayes.array_types import Array, Bools, Ints
from raybayes.beamline.diffraction import diffraction_angles, with_diffraction
from raybayes.beamline.geometry import Compiled, compile_beamline
from raybayes.beamline.model import Beamline
from raybayes.beamline.source import (
    Sampling,
    dimensions,
    emit,
    polarisation,
    standard,
    uniforms,
)
from raybayes.errors import InputError
from raybayes.optics import through
from raybayes.optics.coating import attenuate
from raybayes.optics.rows import (
    CUTOUT,
    DIFFRACTION,
    JIT,
    KIND,
    OFFSET,
    ORDERS,
    RAY,
    ROTATION,
    SCREEN,
    SHAPE,
    SLOPE,
    TAPER,
    E,
    Tables,
    X,
    Y,
    Z,
)
from raybayes.optics.threads import in_threads

BLOCK = 512  # rays: 28 KiB of coordinates; beside longer rows, the results are written faster
# (dimensions, rays) -> points of the unit cube, [n, dimensions] at a time.
Points = Callable[[int, int], Iterator[Array]]
MOST_RAYS = 100_000_000  # 6 GB of results; more is a slip


class Outline(NamedTuple):
    """Of an optical surface, mm: its half width and half length, where along z its middle is.

    shape: RECTANGLE, ELLIPSE or TRAPEZOID; taper: growth of the half width per mm of z.
    """

    shape: float
    half_x: float
    half_z: float
    centre: float
    taper: float


@dataclass(frozen=True)
class Rays:
    """Rays at one plane, in that element's frame, leaving it.

    Attributes:
        plane: the element's name.
        values: [7, n]: x, y, z (mm), direction cosines, energy (eV).
        path: [n], from the source along the ray, less that of the design ray, mm.
        stokes: [4, n]: S0, the share of the ray's intensity that is left, and S1, S2, S3.
        lost_at: [n]: the name of the element that lost the ray; "" for a ray that arrived.
        deflected: whether a mirror or grating stands in the way.
        outline: of the optical surface that they are on; None on a plane across the beam.
    """

    plane: str
    values: Array
    path: Array
    stokes: Array
    lost_at: NDArray[np.str_]
    deflected: bool = False
    outline: Outline | None = None

    @property
    def arrived(self) -> Bools:
        """[n]: whether each ray reached the plane."""
        return self.lost_at == ""

    @property
    def transmission(self) -> float:
        """The fraction of the source's intensity that arrived."""
        return float(self.stokes[0, self.arrived].sum() / len(self.arrived))

    @property
    def weight(self) -> Array:
        """[arrived]: the share of their intensity that is left."""
        return self.stokes[0, self.arrived]

    @property
    def x(self) -> Array:
        """[arrived], mm."""
        return self.values[X, self.arrived]

    @property
    def y(self) -> Array:
        """[arrived], mm."""
        return self.values[Y, self.arrived]

    @property
    def across(self) -> tuple[Array, Array]:
        """Two of [arrived], mm: x and y on a plane across the beam, x and z on a surface."""
        return self.x, self.values[Y if self.outline is None else Z, self.arrived]

    @property
    def axes(self) -> tuple[str, str]:
        """The names of `across`."""
        return ("x", "y") if self.outline is None else ("x", "z")

    @property
    def energy(self) -> Array:
        """[arrived], eV."""
        return self.values[E, self.arrived]


class Drawn(NamedTuple):
    """What is drawn for each of n rays.

    samples: [n, STANDARD].
    slopes: [k, 2 or 3, n], see `optics.through`.
    slots: [elements]: which of the k each element uses, or -1 for none.
    """

    samples: Array
    slopes: Array
    slots: Ints


class _Way(NamedTuple):
    """What all rays share: the source, the elements, and what the elements' rows point to."""

    emission: Array
    rows: Array
    tables: Tables


def trace_rays(
    emission: Array,
    rows: Array,
    drawn: Drawn,
    rays: Array,
    path: Array,
    stokes: Array,
    tables: Tables,
) -> Ints:
    """Fill rays [7, n]; returns which element lost each [n]: 0 for none, or 1 + its index.

    path: [n] gets the length of each ray from the source, mm; or [0] for none.
    stokes: [4, n], of the source; changed into those that arrive; or [4, 0] for none.
    tables: what the rows point to.

    Each ray depends on its own sample alone, so blocks and threads cannot change a result.
    """
    way, lost = _Way(emission, rows, tables), np.empty(rays.shape[1], np.int64)

    def some(first: int, last: int) -> None:
        _trace(way, drawn, (first, last), rays, path, stokes, lost)

    in_threads(some, -(-rays.shape[1] // BLOCK))
    return lost


@njit(nogil=True, **JIT)
def _trace(
    way: _Way,
    drawn: Drawn,
    blocks: tuple[int, int],
    rays: Array,
    path: Array,
    stokes: Array,
    lost: Ints,
) -> None:
    """`trace_rays` for the blocks of rays from one to another."""
    emission, rows, tables = way
    samples, slopes, slots = drawn
    perfect = np.empty((2, 0))
    for block in range(blocks[0], blocks[1]):
        start = block * BLOCK
        stop = min(start + BLOCK, rays.shape[1])
        work, normals = np.empty((RAY, stop - start)), np.empty((3, stop - start))
        losses = np.zeros(stop - start, np.int64)
        lengths = np.zeros(stop - start if path.shape[0] > 0 else 0)
        before = np.empty((3, lengths.shape[0]))
        light = stokes[:, start:stop].copy()
        emit(emission, samples[start:stop], work)
        for k in range(rows.shape[0]):
            # A copy, as a view that is not contiguous would be a second version of `through`.
            errors = perfect if slots[k] < 0 else slopes[slots[k], :, start:stop].copy()
            if lengths.shape[0] > 0:
                before[:] = work[:3]
            through(rows[k], work, losses, k + 1, errors, normals, tables)
            if light.shape[1] > 0:
                attenuate(rows[k], tables, work, normals, light)
            if lengths.shape[0] > 0:
                _lengthen(rows[k], before, work, lengths)
        rays[:, start:stop] = work
        if lengths.shape[0] > 0:
            path[start:stop] = lengths
        if light.shape[1] > 0:
            stokes[:, start:stop] = light
        lost[start:stop] = losses


@njit(**JIT)
def _lengthen(row: Array, before: Array, rays: Array, path: Array) -> None:
    """Add the way from the place before, in the frame before, to the place now."""
    for i in range(rays.shape[1]):
        a, b, c = before[0, i], before[1, i], before[2, i]
        x = row[ROTATION] * a + row[ROTATION + 1] * b + row[ROTATION + 2] * c + row[OFFSET]
        y = row[ROTATION + 3] * a + row[ROTATION + 4] * b + row[ROTATION + 5] * c + row[OFFSET + 1]
        z = row[ROTATION + 6] * a + row[ROTATION + 7] * b + row[ROTATION + 8] * c + row[OFFSET + 2]
        u, v, w = rays[X, i] - x, rays[Y, i] - y, rays[Z, i] - z
        path[i] += np.sqrt(u * u + v * v + w * w)


def slope_slots(rows: Array) -> Ints:
    """[elements]: which random numbers an element uses, -1 for none.

    For slope errors, a slit's diffraction, a choice of two orders.
    """
    screen = rows[..., KIND] == SCREEN
    columns = np.where(screen, DIFFRACTION, SLOPE)[..., None] + np.arange(2)
    sloped = (np.take_along_axis(rows, columns, axis=-1) > 0).any(axis=-1)
    sloped |= rows[..., ORDERS] == 1
    sloped = sloped.reshape(-1, sloped.shape[-1]).any(axis=0)
    return np.where(sloped, np.cumsum(sloped) - 1, -1)


def _random_angles(rows: Array, slots: Ints, points: Array, draws: int) -> Array:
    """[n, draws k] points of the unit cube -> [k, draws, n].

    The first two are normal or of a slit's diffraction; a third stays uniform.
    """
    k = points.shape[1] // draws
    if k == 0:
        return np.empty((1, 2, 0))
    angles = np.ascontiguousarray(points.T.reshape(k, draws, -1))
    for row, slot in zip(rows, slots, strict=True):
        if slot >= 0:
            u = angles[slot, :2]
            angles[slot, :2] = diffraction_angles(row, u) if row[KIND] == SCREEN else ndtri(u)
    return angles


def trace(
    beamline: Beamline,
    rays: int | None = 100_000,
    plane: str | None = None,
    seed: int = 0,
    sampling: Sampling = "sobol",
    slit_diffraction: bool = False,
) -> Rays:
    """Trace rays to the element `plane` (default: the last one; the source's name: as emitted).

    Slope errors are drawn for each ray, as in RAY-UI. The same seed gives the same rays
    whatever the number of threads.

    Args:
        rays: how many; None for the number in the file.
        slit_diffraction: whether openings diffract, as in RAY-UI; without it a ray that passes
            a slit goes straight on, and matrix sources give the same rays each time.

    Raises:
        InputError: no such plane, a number of rays that makes no sense, or a beamline that
            cannot be compiled.
    """
    count = count_of(beamline, rays, seed)
    compiled = compiled_for_rays(beamline, slit_diffraction=slit_diffraction)
    return trace_compiled(beamline, compiled, 0, count, plane, seed, sampling)


def count_of(beamline: Beamline, rays: int | None, seed: int = 0) -> int:
    """How many rays: as asked for, or as in the file.

    Raises:
        InputError: a number of rays that makes no sense, a negative seed.
    """
    count = int(beamline.source.number("numberRays", 100_000)) if rays is None else rays
    if count != int(count) or not 1 <= count <= MOST_RAYS:
        raise InputError(f"rays = {count}: trace a whole number of rays, 1 to {MOST_RAYS:,}")
    if seed < 0:
        raise InputError(f"seed = {seed}: it must not be negative")
    return int(count)


def compiled_for_rays(
    beamline: Beamline,
    names: Sequence[str] = (),
    theta: ArrayLike | None = None,
    slit_diffraction: bool = False,
) -> Compiled:
    """As `compile_beamline`, theta [n, d], with slits that diffract if asked for.

    Raises:
        InputError: see there.
    """
    compiled = compile_beamline(beamline, names, theta)
    if not slit_diffraction:
        return compiled
    return replace(compiled, rows=with_diffraction(compiled.rows, compiled.tables.hc))


def trace_compiled(
    beamline: Beamline,
    compiled: Compiled,
    i: int,
    rays: int,
    plane: str | None,
    seed: int | tuple[int, ...],
    sampling: Sampling | Points,
) -> Rays:
    """Trace one of many compiled thetas; see `trace`."""
    last = compiled.names[-1] if compiled.names else beamline.source.name
    plane = last if plane is None else plane
    stop = 0 if plane == beamline.source.name else compiled.index(plane) + 1
    rows = compiled.rows[i, :stop]
    slots = slope_slots(rows) if stop else np.empty(0, np.int64)
    k = int(slots.max(initial=-1)) + 1
    values, lost, path = np.empty((RAY, rays)), np.empty(rays, np.int64), np.empty(rays)
    stokes = np.empty((4, rays))
    width = dimensions(beamline.source)
    start = 0
    draws = 3 if (rows[:, ORDERS] == 1).any() else 2  # of each slot
    cube = width + draws * k
    made = sampling(cube, rays) if callable(sampling) else uniforms(sampling, cube, rays, seed)
    for points in made:
        part = slice(start, start + len(points))
        slopes = _random_angles(rows, slots, points[:, width:], draws)
        # Contiguous arrays throughout: one compiled version for all callers.
        chunk = np.empty((RAY, len(points)))
        light = polarisation(beamline, points)
        lost[part] = trace_rays(
            compiled.emission[i],
            rows,
            Drawn(standard(beamline, points[:, :width], start, rays), slopes, slots),
            chunk,
            path[part],
            light if compiled.coated else np.empty((4, 0)),
            compiled.tables,
        )
        values[:, part], stokes[:, part] = chunk, light
        start = part.stop
    path -= compiled.paths[i, stop]
    numbers = np.isfinite(values).all(axis=0) & np.isfinite(stokes).all(axis=0) & np.isfinite(path)
    lost[(lost == 0) & ~numbers] = stop  # beyond float64: it did not arrive
    deflected = bool((rows[:, KIND] != SCREEN).any())
    places = np.asarray(("", *compiled.names))[lost]
    outline = _outline(rows[-1]) if stop else None
    return Rays(plane, values, path, stokes, places, deflected, outline)


def _outline(row: Array) -> Outline | None:
    if row[KIND] == SCREEN:
        return None
    half_x, half_z, centre = row[CUTOUT : CUTOUT + 3].tolist()
    return Outline(float(row[SHAPE]), half_x, half_z, centre, float(row[TAPER]))

"""Trace many rays through one setting of a beamline, in parallel over blocks of rays."""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.special import ndtri

from raybayes.beamline.geometry import Compiled, compile_beamline
from raybayes.beamline.rml import Beamline
from raybayes.beamline.source import STANDARD, Sampling, emit, standard, uniforms
from raybayes.errors import InputError
from raybayes.optics import JIT, KIND, RAY, SCREEN, SLOPE, E, X, Y, through

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK = 256  # rays that stay in the first-level cache: 7 coordinates x 8 bytes x 256 = 14 KiB


@dataclass(frozen=True)
class Rays:
    """Rays at one plane, in that element's frame, leaving it.

    Attributes:
        plane: the element's name.
        values: [7, n]: x, y, z (mm), direction cosines, energy (eV).
        lost_at: [n]: the name of the element that lost the ray; "" for a ray that arrived.
    """

    plane: str
    values: Array
    lost_at: NDArray[np.str_]

    @property
    def arrived(self) -> NDArray[np.bool_]:
        return self.lost_at == ""

    @property
    def transmission(self) -> float:
        """The fraction of the source's rays that arrived."""
        return float(self.arrived.mean())

    @property
    def x(self) -> Array:
        """Of the rays that arrived, mm."""
        return self.values[X, self.arrived]

    @property
    def y(self) -> Array:
        """Of the rays that arrived, mm."""
        return self.values[Y, self.arrived]

    @property
    def energy(self) -> Array:
        """Of the rays that arrived, eV."""
        return self.values[E, self.arrived]


@njit(parallel=True, **JIT)
def trace_rays(
    emission: Array,
    rows: Array,
    samples: Array,
    slopes: Array,
    slots: Ints,
    rays: Array,
    lost: Ints,
) -> None:
    """Fill rays [7, n] and lost [n] (0, or 1 + index of the element) from samples [n, STANDARD].

    Each ray depends on its own sample alone, so blocks and threads cannot change a result.
    slopes: [k, 2, n] in units of the rms; slots [elements]: which of the k, or -1 for none.
    """
    n = rays.shape[1]
    for block in prange((n + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        stop = min(start + BLOCK, n)
        work, normals = np.empty((RAY, stop - start)), np.empty((3, stop - start))
        losses = np.zeros(stop - start, np.int64)
        emit(emission, samples[start:stop], work)
        for k in range(rows.shape[0]):
            perfect = slots[k] < 0
            errors = slopes[0, :, 0:0] if perfect else slopes[slots[k], :, start:stop]
            through(rows[k], work, losses, k + 1, errors, normals)
        rays[:, start:stop] = work
        lost[start:stop] = losses


def slope_slots(rows: Array) -> Ints:
    """[elements]: which pair of slope errors an element uses, -1 for a perfect one."""
    sloped = (rows[..., SLOPE : SLOPE + 2] > 0).any(axis=-1) & (rows[..., KIND] != SCREEN)
    sloped = sloped.reshape(-1, sloped.shape[-1]).any(axis=0)
    return np.where(sloped, np.cumsum(sloped) - 1, -1)


def trace(
    beamline: Beamline,
    rays: int = 100_000,
    plane: str | None = None,
    seed: int = 0,
    sampling: Sampling = "sobol",
) -> Rays:
    """Trace `rays` rays to the element `plane` (default: the last one).

    Slope errors are drawn for each ray, as in RAY-UI. The same seed gives the same rays
    whatever the number of threads.
    """
    if rays < 1:
        raise InputError(f"rays = {rays}: trace at least one ray")
    compiled = compile_beamline(beamline)
    return trace_compiled(beamline, compiled, 0, rays, plane, seed, sampling)


def trace_compiled(
    beamline: Beamline,
    compiled: Compiled,
    setting: int,
    rays: int,
    plane: str | None,
    seed: int | tuple[int, ...],
    sampling: Sampling,
) -> Rays:
    """Trace one of many compiled settings; see `trace`."""
    plane = compiled.names[-1] if plane is None else plane
    rows = compiled.rows[setting, : compiled.index(plane) + 1]
    slots = slope_slots(rows)
    k = int(slots.max()) + 1
    values, lost = np.empty((RAY, rays)), np.empty(rays, np.int64)
    start = 0
    for points in uniforms(sampling, STANDARD + 2 * k, rays, seed):
        part = slice(start, start + len(points))
        slopes = ndtri(points[:, STANDARD:]).T.reshape(k, 2, -1)
        slopes = np.ascontiguousarray(slopes) if k else np.empty((1, 2, 0))
        samples = standard(beamline.source, points)
        trace_rays(
            compiled.emission[setting], rows, samples, slopes, slots, values[:, part], lost[part]
        )
        start = part.stop
    return Rays(plane, values, np.asarray(("", *compiled.names))[lost])

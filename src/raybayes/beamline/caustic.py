"""Widths along the beam around a plane: rays go straight from there, and where is the waist?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from raybayes.array_types import Array, Ints
from raybayes.beamline.probe import Probe
from raybayes.beamline.scan import csv_text
from raybayes.beamline.trace import Rays
from raybayes.beamline.widths import fwhm
from raybayes.errors import InputError
from raybayes.optics.rows import DIFFRACTION, DX, DY, DZ, X, Y, Z

PLACES = 81  # odd: the plane itself is one
MOST = 1 << 17  # rays for the half-maximum widths, at so many places
IMAGES = ("ImagePlane", "ImagePlaneBundle")
AXES = ("horizontal", "vertical")


@dataclass(frozen=True)
class Waist:
    """Where one axis of the beam is narrowest.

    Attributes:
        place: along the beam, mm from the plane; the narrowest by rms.
        rms: there, mm.
        fwhm_place, fwhm: the narrowest by the width at half maximum, mm.
        inside: whether the rms waist lies in the range, and not at its end or beyond.
        fwhm_inside: likewise.
    """

    place: float
    rms: float
    fwhm_place: float
    fwhm: float
    inside: bool
    fwhm_inside: bool


@dataclass(frozen=True)
class Caustic:
    """Along the axis of the plane, z = 0 there and growing downstream, mm.

    Attributes:
        z: [n]; rms, fwhm: [2, n], horizontal (x) and vertical (y), mm.
        waists: of both axes.
        limits: what the range ends at where it is shorter than asked for, in words.
    """

    plane: str
    z: Array
    rms: Array
    fwhm: Array
    waists: tuple[Waist, Waist]
    limits: tuple[str, ...]


def caustic(probe: Probe, rays: Rays, reach: float) -> Caustic:
    """Of the rays at a plane across the beam, within +-reach, mm, and no further than they go.

    The light goes freely only between the element before the plane and the one behind it.

    Raises:
        InputError: a reach that is not positive, a plane on an optical surface or at the
            source's own place with nothing free around it, fewer than 2 rays.
    """
    if not (np.isfinite(reach) and reach > 0):
        raise InputError(f"--caustic {reach}: give a distance in mm, above 0")
    if rays.outline is not None:
        raise InputError(
            f"--caustic: {rays.plane!r} is an optical surface, which rays leave at an angle; name "
            "a plane across the beam with --plane"
        )
    if rays.arrived.sum() < 2:
        raise InputError(f"--caustic: {len(rays.x)} rays arrive at {rays.plane!r}; two are needed")
    low, high, limits = _range(probe, reach)
    z = np.linspace(low, high, PLACES)
    if low < 0 < high:
        z[np.abs(z).argmin()] = 0.0
    axes = [_Axis.of(rays, *columns) for columns in ((X, DX), (Y, DY))]
    widths = np.array([[axis.fwhm(place) for place in z] for axis in axes])
    return Caustic(
        plane=rays.plane,
        z=z,
        rms=np.array([axis.rms(z) for axis in axes]),
        fwhm=widths,
        waists=(axes[0].waist(z, widths[0]), axes[1].waist(z, widths[1])),
        limits=limits,
    )


def _range(probe: Probe, reach: float) -> tuple[float, float, tuple[str, ...]]:
    """From the last element that acts before the plane to the next one behind it."""
    paths, elements, stop = probe.compiled.paths[probe.i], probe.beamline.elements, probe.stop
    acting = [k for k, e in enumerate(elements) if e.type not in IMAGES]
    back = max((paths[k], elements[k].name) for k in [0, *acting] if k < max(stop, 1))
    ahead = min(((paths[k], elements[k].name) for k in acting if k > stop), default=(np.inf, ""))
    low, high = max(-reach, back[0] - paths[stop]), min(reach, ahead[0] - paths[stop])
    said = []
    if stop and probe.compiled.rows[probe.i, stop - 1, DIFFRACTION] > 0:
        low, back = 0.0, (0.0, f"{elements[stop].name}, whose opening diffracts")
    if low > -reach:
        said.append(f"upstream it ends at {back[1]}, {abs(low):g} mm before the plane")
    if high < reach:
        said.append(f"downstream it ends at {ahead[1]}, {high:g} mm behind the plane")
    if not high > low:
        raise InputError(f"--caustic: no free way before or behind {elements[stop].name!r}")
    return float(low), float(high), tuple(said)


@dataclass(frozen=True)
class _Axis:
    """Positions at the plane [n], mm, slopes [n], weights [n]; some of them for the FWHM."""

    at: Array
    slope: Array
    weight: Array
    some: Ints | slice

    @classmethod
    def of(cls, rays: Rays, position: int, direction: int) -> "_Axis":
        v = rays.values[:, rays.arrived]
        slope, n = v[direction] / v[DZ], v.shape[1]
        # By chance: the rays of a matrix source repeat.
        some = np.random.default_rng(0).integers(n, size=MOST) if n > MOST else slice(None)
        return cls(v[position] - slope * v[Z], slope, rays.weight, some)

    def _moments(self) -> tuple[float, float, float]:
        """Variance at the plane, covariance with the slope, variance of the slope."""
        (a, b), (_, c) = np.cov(self.at, self.slope, aweights=self.weight, ddof=0)
        return float(a), float(b), float(c)

    def rms(self, z: Array) -> Array:
        a, b, c = self._moments()
        return np.sqrt(np.maximum(a + 2 * b * z + c * z * z, 0))

    def fwhm(self, z: float) -> float:
        some = self.some
        return fwhm(self.at[some] + z * self.slope[some], self.weight[some])

    def waist(self, z: Array, widths: Array) -> Waist:
        """The rms has its least value where the covariance is zero: z = -b / c."""
        _, b, c = self._moments()
        free = -b / c if c > 0 else 0.0
        place = float(np.clip(free, z[0], z[-1]))
        i = int(np.argmin(widths))
        low, high = z[max(i - 1, 0)], z[min(i + 1, len(z) - 1)]
        found = minimize_scalar(self.fwhm, bounds=(low, high), method="bounded")
        narrow = (float(found.x), float(found.fun)) if found.fun < widths[i] else (z[i], widths[i])
        return Waist(
            place=place,
            rms=float(self.rms(np.array([place]))[0]),
            fwhm_place=float(narrow[0]),
            fwhm=float(narrow[1]),
            inside=bool(z[0] < free < z[-1]),
            fwhm_inside=0 < i < len(z) - 1,
        )


def caustic_lines(found: Caustic) -> dict[str, str]:
    """The waists, for a person to read."""
    lines = {f"waist {axis[:3]}.": _waist(w) for axis, w in zip(AXES, found.waists, strict=True)}
    ends = f"{found.z[0]:g} to {found.z[-1]:g} mm around {found.plane}"
    return {"caustic": "; ".join((ends, *found.limits)), **lines}


def _waist(w: Waist) -> str:
    by_rms = f"rms {1e3 * w.rms:.4g} um at {w.place:+.4g} mm{_end(w.inside)}"
    return f"{by_rms}, FWHM {1e3 * w.fwhm:.4g} um at {w.fwhm_place:+.4g} mm{_end(w.fwhm_inside)}"


def _end(inside: bool) -> str:
    return "" if inside else " (the end of the range: the waist is beyond)"


def caustic_numbers(found: Caustic) -> dict[str, Any]:
    """For a machine, mm."""
    waists = {axis: vars(w) for axis, w in zip(AXES, found.waists, strict=True)}
    return {**caustic_table(found), "waists": waists, "limits": list(found.limits)}


def caustic_csv(found: Caustic) -> str:
    """The columns of `caustic_table` as lines, with their unit in the header."""
    columns = {f"{name}_mm": column for name, column in caustic_table(found).items()}
    return csv_text(columns)


def caustic_table(found: Caustic) -> dict[str, list[float]]:
    """Columns of equal length, mm."""
    columns = {"z": found.z}
    for name, both in (("rms", found.rms), ("fwhm", found.fwhm)):
        columns |= {f"{name}_{axis}": row for axis, row in zip("xy", both, strict=True)}
    return {name: column.tolist() for name, column in columns.items()}

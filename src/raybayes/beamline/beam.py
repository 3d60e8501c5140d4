"""What a beamline scientist asks of a traced beam."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raybayes.beamline.probe import Probe
from raybayes.beamline.resolution import NONE, Resolution, resolution, source_band
from raybayes.beamline.trace import Rays
from raybayes.beamline.widths import encircled, profile, rms

Pair = tuple[float, float]


@dataclass(frozen=True)
class Beam:
    """The beam at one plane; intensities weigh the rays.

    Pairs are (x, y) on a plane across the beam and (x, z) on an optical surface, mm.

    Attributes:
        transmission: share of the source's intensity that arrives.
        flux: photons per second that arrive, of the source's `photonFlux`; NaN without one.
        centroid, rms: moments.
        fwhm: full widths at half maximum, of a density estimate (`widths.profile`).
        peaks: how many intervals lie above half maximum; above 1, `fwhm` spans a gap.
        encircled50, encircled90: full widths around the centroid that hold so many percent.
        divergence: rms (x', y'), rad.
        energy: mean, eV.
        bandwidth: full width at half maximum of what arrives, eV; where the source's band is
            narrower than the monochromator's, it is the source's: see `resolution`.
    """

    rays: int
    transmission: float
    flux: float
    centroid: Pair
    rms: Pair
    fwhm: Pair
    peaks: tuple[int, int]
    encircled50: Pair
    encircled90: Pair
    divergence: Pair
    energy: float
    bandwidth: float


def beam(rays: Rays, flux: float = float("nan")) -> Beam:
    """Moments and widths of the rays that arrived.

    Args:
        rays: traced to a plane.
        flux: of the source, photons per second.
    """
    w = rays.weight
    if len(w) == 0 or w.sum() <= 0:
        nan = float("nan")
        nans = (nan, nan)
        return Beam(0, 0.0, 0.0 * flux, nans, nans, nans, (0, 0), nans, nans, nans, nan, nan)
    _, _, _, dx, dy, dz, energy = rays.values[:, rays.arrived]
    across = rays.across
    curves = [profile(values, w) for values in across]
    inner, outer = np.transpose([encircled(values, w) for values in across])
    return Beam(
        rays=len(w),
        transmission=rays.transmission,
        flux=flux * rays.transmission,
        centroid=_pair(np.average(values, weights=w) for values in across),
        rms=_pair(rms(values, w) for values in across),
        fwhm=_pair(curve.fwhm for curve in curves),
        peaks=(curves[0].parts, curves[1].parts),
        encircled50=_pair(inner),
        encircled90=_pair(outer),
        divergence=(rms(dx / dz, w), rms(dy / dz, w)),
        energy=float(np.average(energy, weights=w)),
        bandwidth=profile(energy, w).fwhm,
    )


def _pair(values: Iterable[float]) -> Pair:
    first, second = map(float, values)
    return first, second


@dataclass(frozen=True)
class Answer:
    """All that `raybayes trace` says of one plane.

    Attributes:
        source_flux: photons per second that the source emits; NaN where the file has none.
        monochromator: what the optics select, whatever band the source has.
        source_band: full width of the source's white band, eV; NaN of another distribution.
        missed: of the light that comes to an optical surface, the share that misses it; NaN on
            a plane across the beam.
    """

    traced: Rays
    beam: Beam
    source_flux: float
    monochromator: Resolution
    source_band: float
    missed: float


def answer(probe: Probe) -> Answer:
    """Trace to the plane of a probe and say what arrives.

    Raises:
        InputError: there is no such plane.
    """
    rays = probe.rays()
    found = beam(rays, probe.flux)
    selected = resolution(probe) if found.rays else NONE
    missed, band = probe.missed(rays), source_band(probe)
    return Answer(rays, found, probe.flux, selected, band, missed)


def numbers(a: Answer) -> dict[str, Any]:
    """For a machine: mm, rad, eV; and how many rays are lost at which element."""
    return {
        **asdict(a.beam),
        "source_flux": a.source_flux,
        "resolving_power": a.monochromator.resolving_power,
        "monochromator_bandwidth": a.monochromator.bandwidth,
        "source_band": a.source_band,
        "axes": a.traced.axes,
        "missed": a.missed,
        "plane": a.traced.plane,
        "lost_at": dict(Counter(str(name) for name in a.traced.lost_at if name)),
        "traced": len(a.traced.arrived),
    }


def summary(a: Answer) -> dict[str, str]:
    """For a person to read."""
    b, rays = a.beam, a.traced
    lines = {"plane": rays.plane, "rays": f"{b.rays} of {len(rays.arrived)} arrive"}
    if rays.outline is not None:
        lines["plane"] += ": the footprint on its surface, x across and z along it"
        lines["misses it"] = f"{a.missed:.3g} of the light that comes to it"
    if b.rays == 0:
        return lines | _losses(rays)
    return {
        **lines,
        "transmission": f"{b.transmission:.6g} of the source's intensity",
        **_flux(a),
        "centroid": _of_both(a, b.centroid, ".4f"),
        "rms": _of_both(a, b.rms),
        "FWHM": _of_both(a, b.fwhm) + _peaks(a),
        "holds 50 %": _of_both(a, b.encircled50),
        "holds 90 %": _of_both(a, b.encircled90),
        "energy": f"{b.energy:.6g} eV, bandwidth {b.bandwidth:.4g} eV FWHM",
        "resolution": _resolution(a),
        **_losses(rays),
    }


def _of_both(a: Answer, pair: Pair, form: str = ".4g") -> str:
    """In um on a plane across the beam, in mm on a surface, along which a beam is long."""
    scale, unit = (1e3, "um") if a.traced.outline is None else (1.0, "mm")
    (first, second), (u, v) = a.traced.axes, pair
    return f"{first} {scale * u:{form}}, {second} {scale * v:{form}} {unit}"


def _peaks(a: Answer) -> str:
    both = zip(a.traced.axes, a.beam.peaks, strict=True)
    found = [f"{axis} of {n} peaks" for axis, n in both if n > 1]
    return f" (from the first to the last: {', '.join(found)})" if found else ""


def _flux(a: Answer) -> dict[str, str]:
    if not a.source_flux > 0:
        return {}
    return {"flux": f"{a.beam.flux:.4g} of the source's {a.source_flux:.4g} photons/s"}


def _resolution(a: Answer) -> str:
    found = a.monochromator
    if not found.bandwidth >= 0:
        return "nothing here selects an energy: the band is the source's"
    said = f"{found.resolving_power:.5g}, of the monochromator ({found.bandwidth:.4g} eV FWHM)"
    if a.beam.bandwidth < 0.9 * found.bandwidth:
        return f"{said}; the source's band limits what is traced"
    return said


def _losses(rays: Rays) -> dict[str, str]:
    names, counts = np.unique(rays.lost_at, return_counts=True)
    lost = [f"{name} {n}" for name, n in zip(names, counts, strict=True) if name]
    return {"lost at": ", ".join(lost)} if lost else {}

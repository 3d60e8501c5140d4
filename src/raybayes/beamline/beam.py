"""What a beamline scientist asks of a traced beam."""

from dataclasses import asdict, dataclass

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.trace import Rays

BINS = 200  # of the histogram that a full width at half maximum is read from, across +-4 rms


@dataclass(frozen=True)
class Beam:
    """The beam at one plane; intensities weigh the rays.

    Attributes:
        transmission: share of the source's intensity that arrives.
        flux: photons per second that arrive, of the source's `photonFlux`; NaN without one.
        centroid, rms, fwhm: (x, y), mm.
        divergence: rms (x', y'), rad.
        energy: mean, eV.
        bandwidth: full width at half maximum, eV.
        resolving_power: energy / bandwidth; infinite for monochromatic light.
    """

    rays: int
    transmission: float
    flux: float
    centroid: tuple[float, float]
    rms: tuple[float, float]
    fwhm: tuple[float, float]
    divergence: tuple[float, float]
    energy: float
    bandwidth: float
    resolving_power: float


def beam(rays: Rays, flux: float = float("nan")) -> Beam:
    """Moments and widths of the rays that arrived.

    Args:
        rays: traced to a plane.
        flux: of the source, photons per second.
    """
    x, y, _, dx, dy, dz, energy = rays.values[:, rays.arrived]
    w = rays.weight
    if len(x) == 0 or w.sum() <= 0:
        nan = float("nan")
        nans = (nan, nan)
        return Beam(0, 0.0, 0.0 * flux, nans, nans, nans, nans, nan, nan, nan)
    width = fwhm(energy, w)
    mean = float(np.average(energy, weights=w))
    return Beam(
        rays=len(x),
        transmission=rays.transmission,
        flux=flux * rays.transmission,
        centroid=(float(np.average(x, weights=w)), float(np.average(y, weights=w))),
        rms=(rms(x, w), rms(y, w)),
        fwhm=(fwhm(x, w), fwhm(y, w)),
        divergence=(rms(dx / dz, w), rms(dy / dz, w)),
        energy=mean,
        bandwidth=width,
        resolving_power=mean / width if width > 0 else float("inf"),
    )


def rms(values: Array, weights: Array) -> float:
    """Weighted standard deviation."""
    centre = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - centre) ** 2, weights=weights)))


def fwhm(values: Array, weights: Array) -> float:
    """Full width at half maximum of a histogram, interpolated between its bins.

    Half maximum is half of the mean of the highest bins' neighbourhood: one bin more or less
    by chance does not move it.
    """
    spread = rms(values, weights)
    if spread <= 1e-14 * max(1.0, float(np.abs(values).max())):
        return 0.0
    centre = np.average(values, weights=weights)
    bins = int(np.clip(np.sqrt(len(values)) / 2, 16, BINS))
    counts, edges = np.histogram(
        values, bins, (centre - 4 * spread, centre + 4 * spread), weights=weights
    )
    smooth = np.convolve(np.pad(counts, 1), np.ones(3) / 3, mode="valid") if bins > 32 else counts
    half = smooth.max() / 2
    above = np.flatnonzero(smooth >= half)
    middles = (edges[1:] + edges[:-1]) / 2
    return _crossing(middles, smooth, above[-1], 1, half) - _crossing(
        middles, smooth, above[0], -1, half
    )


def _crossing(middles: Array, counts: Array, i: int, step: int, half: float) -> float:
    """Where the histogram falls through `half` beyond bin i, in the direction of `step`."""
    outside = counts[i + step] if 0 <= i + step < len(counts) else 0.0
    share = (counts[i] - half) / (counts[i] - outside)
    return float(middles[i] + step * share * (middles[1] - middles[0]))


def summary(rays: Rays) -> dict[str, str]:
    """Of the rays at a plane, for a person to read."""
    b = asdict(beam(rays))
    n = len(rays.arrived)
    lines = {"plane": rays.plane, "rays": f"{b['rays']} of {n} arrive"}
    if b["rays"] == 0:
        return lines | _losses(rays)
    um = 1e3
    return {
        **lines,
        "transmission": f"{b['transmission']:.6g} of the source's intensity",
        "centroid": "x {:.4f}, y {:.4f} um".format(*(um * v for v in b["centroid"])),
        "rms": "x {:.4g}, y {:.4g} um".format(*(um * v for v in b["rms"])),
        "FWHM": "x {:.4g}, y {:.4g} um".format(*(um * v for v in b["fwhm"])),
        "energy": f"{b['energy']:.6g} eV, bandwidth {b['bandwidth']:.4g} eV FWHM",
        "resolution": f"{b['resolving_power']:.5g}",
        **_losses(rays),
    }


def _losses(rays: Rays) -> dict[str, str]:
    names, counts = np.unique(rays.lost_at, return_counts=True)
    lost = [f"{name} {n}" for name, n in zip(names, counts, strict=True) if name]
    return {"lost at": ", ".join(lost)} if lost else {}

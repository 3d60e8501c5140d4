"""The resolving power of a monochromator, whatever band the source was given.

A narrow band passes whole and shows its own width. So the source gets a white band that is
widened from a millionth of the energy until what arrives is clearly narrower.
"""

from dataclasses import dataclass, replace

import numpy as np

from raybayes.beamline.emission import ENERGY, SPREAD
from raybayes.beamline.model import Beamline, Param
from raybayes.beamline.probe import Probe
from raybayes.beamline.trace import Rays
from raybayes.beamline.widths import profile
from raybayes.optics.rows import COATING, CRYSTAL, WAVELENGTH_SHIFT

FIRST, STEP, LAST = 1e-6, 3.0, 0.5  # of the energy: the bands, full width
SELECTED = 0.4  # of a band: no wider is what a monochromator passes of it
ROOM = 2.0  # widths at half maximum beyond both ends of what passes
SEARCH, FINAL, MORE = 1 << 14, 1 << 17, 1 << 20  # rays; more where few of them arrive
FEW, ENOUGH = 50, 2000  # rays that arrive: no width; a width to some percent


@dataclass(frozen=True)
class Resolution:
    """What the optics up to a plane select.

    Attributes:
        bandwidth: full width at half maximum of what passes from a band wide enough, eV; NaN
            where nothing selects.
        resolving_power: energy / bandwidth; NaN likewise.
    """

    bandwidth: float
    resolving_power: float


NONE = Resolution(float("nan"), float("nan"))


def resolution(probe: Probe) -> Resolution:
    """Of the monochromator up to the plane: gratings, crystals, zone plates and their slits."""
    if not disperses(probe):
        return NONE
    energy = float(probe.compiled.emission[probe.i, ENERGY])
    white = replace(probe, beamline=_white(probe.beamline))
    band = FIRST * energy
    while band <= LAST * energy:
        found = _passed(_with_band(white, band, SEARCH))
        if found is not None and found[0] < SELECTED * band:
            return _measured(white, energy, found)
        band *= STEP
    return NONE


def disperses(probe: Probe) -> bool:
    """Whether a grating, zone plate or crystal stands up to the plane."""
    rows = probe.compiled.rows[probe.i, : probe.stop]
    grating, crystal = rows[:, WAVELENGTH_SHIFT] != 0, rows[:, COATING] == CRYSTAL
    return bool((grating | crystal).any())


def _measured(white: Probe, energy: float, found: tuple[float, float, float]) -> Resolution:
    """With a band that holds what passes, and room, and is no wider: most rays arrive."""
    width, low, high = found
    band = 2 * (max(high - energy, energy - low) + ROOM * width)
    band = min(band, LAST * energy)
    rays = _with_band(white, band, FINAL)
    if rays.arrived.sum() < ENOUGH:
        rays = _with_band(white, band, MORE)
    final = _passed(rays)
    if final is None:
        return NONE
    centre = (final[1] + final[2]) / 2
    return Resolution(final[0], centre / final[0] if final[0] > 0 else float("inf"))


def _passed(rays: Rays) -> tuple[float, float, float] | None:
    """Width and ends at half maximum of the energies that arrive; None of few rays."""
    if rays.arrived.sum() < FEW or rays.weight.sum() <= 0:
        return None
    found = profile(rays.energy, rays.weight)
    return found.fwhm, *found.half


def _with_band(white: Probe, band: float, count: int) -> Rays:
    emission = white.compiled.emission.copy()
    emission[:, SPREAD] = band
    return replace(white, count=count, compiled=replace(white.compiled, emission=emission)).rays()


def _white(beamline: Beamline) -> Beamline:
    """With a source whose energies are uniform in a band, whatever they are in the file."""
    values = Param("1", {"enabled": "T"})
    ids = ("energyDistributionType", "photonEnergyDistributionType")
    changes = {id_: values for id_ in ids if id_ in beamline.source.params}
    white = {"energySpreadType": Param("0", {"enabled": "T"})}
    return beamline.with_params(beamline.source.name, changes | white)


def source_band(probe: Probe) -> float:
    """The full width of the source's white band, eV; NaN of another distribution."""
    source, spread = probe.beamline.source, probe.compiled.emission[probe.i, SPREAD]
    return float(spread) if source.number("energySpreadType") == 0 else float(np.nan)

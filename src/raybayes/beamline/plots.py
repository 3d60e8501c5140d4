"""Pictures of a scan and of a caustic; matplotlib is loaded on first use."""

from typing import TYPE_CHECKING

import numpy as np

from raybayes.beamline.caustic import AXES, Caustic
from raybayes.beamline.scan import Scan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f4e79", "#c00000")
# Of a scan: what a panel shows, its unit, its scale, and the columns that begin so.
PANELS = (
    ("transmission", "", 1.0, "transmission"),
    ("centroid", "µm", 1e3, "centroid_"),
    ("FWHM", "µm", 1e3, "fwhm_"),
    ("rms", "µm", 1e3, "rms_"),
    ("flux", "photons/s", 1.0, "flux_"),
    ("resolving power", "", 1.0, "resolving_power"),
)


def scan_picture(found: Scan) -> "Figure":
    """What the scan found over the scanned value; a panel without a number is left out."""
    from matplotlib.figure import Figure

    shown = [panel for panel in PANELS if _known(found, panel[3])]
    rows = max(1, -(-len(shown) // 2))
    figure = Figure(figsize=(8, 2.2 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{found.plane}, {len(next(iter(found.columns.values())))} values", fontsize=10)
    panels = figure.subplots(rows, 2, sharex=True, squeeze=False)
    for axes, panel in zip(panels.flat, shown, strict=False):
        _panel(axes, found, *panel)
    for axes in panels.flat[len(shown) :]:
        axes.remove()
    return figure


def _known(found: Scan, begin: str) -> dict[str, np.ndarray]:
    return {
        name: values
        for name, values in found.columns.items()
        if name.startswith(begin) and np.isfinite(values).any()
    }


def _panel(axes: "Axes", found: Scan, label: str, unit: str, scale: float, begin: str) -> None:
    x = next(iter(found.columns.values()))
    for (name, values), colour in zip(_known(found, begin).items(), COLOURS, strict=False):
        axis = name.removeprefix(begin).partition("_")[0]
        axes.plot(x, scale * values, color=colour, lw=1, marker=".", ms=4, label=axis)
    if begin.endswith("_") and not begin.startswith("flux"):
        axes.legend(fontsize=7)
    axes.set_ylabel(f"{label}, {unit}" if unit else label, fontsize=8)
    axes.set_xlabel(f"{found.name}, {found.unit}" if found.unit else found.name, fontsize=8)
    axes.tick_params(labelsize=7, labelbottom=True)
    axes.grid(color="#999999", alpha=0.2)


def caustic_picture(found: Caustic) -> "Figure":
    """Widths along the beam, horizontal and vertical, and both waists."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    figure.suptitle(f"around {found.plane}; z grows downstream", fontsize=10)
    for k, axes in enumerate(figure.subplots(2, 1, sharex=True)):
        waist = found.waists[k]
        axes.plot(found.z, 1e3 * found.fwhm[k], color=COLOURS[0], lw=1, label="FWHM")
        axes.plot(found.z, 1e3 * found.rms[k], color=COLOURS[1], lw=1, label="rms")
        axes.plot(waist.fwhm_place, 1e3 * waist.fwhm, "o", color=COLOURS[0], ms=4)
        axes.plot(waist.place, 1e3 * waist.rms, "o", color=COLOURS[1], ms=4)
        axes.axvline(0, color="#999999", lw=0.5)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"{AXES[k]}, µm", fontsize=8)
        axes.legend(fontsize=7, title=_said(waist.rms, waist.place, waist.inside), title_fontsize=7)
        axes.grid(color="#999999", alpha=0.2)
    axes.set_xlabel("z, mm", fontsize=8)
    return figure


def _said(size: float, place: float, inside: bool) -> str:
    where = "" if inside else ", at the end of the range"
    return f"waist: {1e3 * size:.3g} µm rms at {place:+.3g} mm{where}"

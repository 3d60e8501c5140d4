"""Pictures of a beam and of a beamline; matplotlib is loaded on first use."""

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.beam import beam
from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.kinds import ALIGNMENT, Number
from raybayes.beamline.model import Beamline
from raybayes.beamline.trace import Rays
from raybayes.store import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


BINS = 128  # at most; fewer where rays are few
CLOSE = 0.03  # of the beamline's length
BLUE, GREY, RED = "#1f4e79", "#999999", "#c00000"


def spot_diagram(rays: Rays) -> "Figure":
    """Where the rays arrive, with both profiles; a histogram, so a million rays are as light."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(4, 1), height_ratios=(1, 4))
    middle = figure.add_subplot(grid[1, 0])
    top = figure.add_subplot(grid[0, 0], sharex=middle)
    side = figure.add_subplot(grid[1, 1], sharey=middle)
    x, y = 1e3 * rays.x, 1e3 * rays.y
    middle.set(xlabel="x, µm", ylabel="y, µm", title="")
    figure.suptitle(f"{rays.plane}: {len(x)} of {len(rays.arrived)} rays", fontsize=10)
    if len(x):
        edges = [_edges(values) for values in (x, y)]
        counts = np.histogram2d(x, y, edges, weights=rays.weight)[0]
        middle.pcolormesh(*edges, np.where(counts > 0, counts, np.nan).T, cmap="viridis")
        top.stairs(counts.sum(axis=1), edges[0], color=BLUE)
        side.stairs(counts.sum(axis=0), edges[1], color=BLUE, orientation="horizontal")
        b = beam(rays)
        top.set_title(f"rms {1e3 * b.rms[0]:.3g} × {1e3 * b.rms[1]:.3g} µm", fontsize=9)
    for axes in (top, side):
        axes.axis("off")
    return figure


def _edges(values: Array) -> Array:
    """Of the bins: all of the middle 99.8 %, and a margin."""
    low, high = np.quantile(values, (0.001, 0.999))
    margin = 0.1 * (high - low) + 1e-6
    bins = int(np.clip(np.sqrt(len(values)) / 3, 16, BINS))
    return np.linspace(low - margin, high + margin, bins + 1)


def misalignments(beamline: Beamline) -> dict[str, str]:
    """Of the elements that do not stand where they should: what is off, in words."""
    found = {}
    for element in beamline.elements:
        off = [
            f"{id_.removesuffix('error')} {element.number(id_):.4g} {kind.unit}"
            for id_, kind in ALIGNMENT.items()
            if isinstance(kind, Number) and element.number(id_) != 0
        ]
        if off and element.number("alignmentError", 1) == 0:
            found[element.name] = ", ".join(off)
    return found


def along(beamline: Beamline) -> list[dict[str, Any]]:
    """Every element's name, type, distance along the beam ("mm"), and what is off, in words."""
    paths, off = compile_beamline(beamline).paths[0], misalignments(beamline)
    return [
        {"name": e.name, "type": e.type, "mm": float(mm), "misaligned": off.get(e.name, "")}
        for e, mm in zip(beamline.elements, paths, strict=True)
    ]


def layout_picture(beamline: Beamline) -> "Figure":
    """The design ray from above and from the side, with the elements' names.

    Misaligned elements are red, and what is off is said.
    """
    from matplotlib.figure import Figure

    compiled = compile_beamline(beamline)
    places = compiled.origins[0] * 1e-3  # m
    names = (beamline.source.name, *compiled.names)
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    above, beside = figure.subplots(2, 1, sharex=True)
    off = misalignments(beamline)
    _draw(above, places[:, 2], places[:, 0], names, off, "x, m (from above)")
    _draw(beside, places[:, 2], places[:, 1], names, off, "y, m (from the side)")
    beside.set_xlabel("z, m")
    if off:
        sentence = "\n".join(f"{name}: {text}" for name, text in off.items())
        figure.suptitle(sentence, fontsize=7, color=RED)
    return figure


def _draw(
    axes: "Axes",
    along: Array,
    across: Array,
    names: tuple[str, ...],
    off: Mapping[str, str],
    label: str,
) -> None:
    axes.plot(along, across, color=BLUE, lw=1, marker="o", ms=3)
    reach = max(float(np.ptp(across)), 1e-3)
    axes.set_ylim(across.min() - 0.9 * reach, across.max() + 0.9 * reach)
    above, last = True, -np.inf
    for z, x, name in zip(along, across, names, strict=True):
        # Of two elements that stand close together, the second has its name below.
        above = not above if z - last < CLOSE * np.ptp(along) else True
        last = z
        text = axes.annotate(
            name, (z, x), (0, 5 if above else -5), textcoords="offset points", rotation=60
        )
        colour = RED if name in off else "black"
        if name in off:
            axes.plot(z, x, color=RED, marker="o", ms=5)
        text.set(
            color=colour,
            fontsize=7,
            va="bottom" if above else "top",
            ha="left" if above else "right",
        )
    axes.set_ylabel(label, fontsize=8)
    axes.grid(color=GREY, alpha=0.2)


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """As PNG, written beside and renamed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_whole(path, buffer.getvalue())

"""Pictures of a beam and of a beamline; matplotlib is loaded on first use."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import isotonic_regression

from raybayes.array_types import Array
from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.kinds import ALIGNMENT, Number
from raybayes.beamline.model import Beamline
from raybayes.beamline.trace import Rays
from raybayes.beamline.widths import profile, rms
from raybayes.optics.rows import ELLIPSE, X, Z
from raybayes.store import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


BINS = 128  # at most; fewer where rays are few
DOTS = 5000  # of rays that miss a surface
INCH = 72.0  # points
SMALL = 7  # points: the names' size
LINE = 9.5  # points: from one upright name to the next
LEADER = 14.0  # points: from the picture's edge to the names
LEFT, RIGHT = 0.1, 0.98  # of the figure's width: the pictures
BLUE, GREY, RED = "#1f4e79", "#999999", "#c00000"


def spot_diagram(rays: Rays) -> "Figure":
    """Where the rays arrive, with both profiles, their estimates and their half maxima.

    A histogram, so a million rays are as light. On an optical surface x along z, with its
    outline; rays that miss it are red.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1), height_ratios=(1, 3))
    middle = figure.add_subplot(grid[1, 0])
    top = figure.add_subplot(grid[0, 0], sharex=middle)
    side = figure.add_subplot(grid[1, 1], sharey=middle)
    on_surface = rays.outline is not None
    scale, unit = (1.0, "mm") if on_surface else (1e3, "µm")
    # Along a surface is the long way: there it lies.
    order = (1, 0) if on_surface else (0, 1)
    across, axes = [scale * rays.across[k] for k in order], [rays.axes[k] for k in order]
    middle.set(xlabel=f"{axes[0]}, {unit}", ylabel=f"{axes[1]}, {unit}", title="")
    figure.suptitle(f"{rays.plane}: {len(rays.x)} of {len(rays.arrived)} rays", fontsize=10)
    if len(rays.x) and rays.weight.sum() > 0:
        edges = [_edges(values) for values in across]
        counts = np.histogram2d(across[0], across[1], bins=edges, weights=rays.weight)[0]
        middle.pcolormesh(*edges, np.where(counts > 0, counts, np.nan).T, cmap="viridis")
        for k, panel in enumerate((top, side)):
            _profile(panel, across[k], rays.weight, edges[k], unit, bool(k))
    if on_surface:
        _surface(middle, rays)
    for panel in (top, side):
        panel.axis("off")
    return figure


def _profile(
    axes: "Axes", values: Array, weights: Array, edges: Array, unit: str, upright: bool
) -> None:
    """A histogram as density, the estimate as a curve, and its width at half maximum."""
    counts = np.histogram(values, edges, weights=weights)[0]
    density = counts / (weights.sum() * (edges[1] - edges[0]))
    way: Any = "vertical" if not upright else "horizontal"
    axes.stairs(density, edges, color=GREY, fill=True, alpha=0.4, orientation=way)
    found = profile(values, weights)
    said = f"FWHM {found.fwhm:.4g} {unit}, rms {rms(values, weights):.4g} {unit}"
    if found.fwhm > 0:
        half = np.array(found.half), np.full(2, found.level)
        _line(axes, found.places, found.density, upright, BLUE)
        _line(axes, *half, upright, RED)
    if upright:
        axes.annotate(said, (1, 0.5), xycoords="axes fraction", rotation=270, fontsize=8,
                      va="center", ha="left")  # fmt: skip
    else:
        axes.set_title(said, fontsize=8)


def _line(axes: "Axes", along: Array, density: Array, upright: bool, colour: str) -> None:
    axes.plot(*((density, along) if upright else (along, density)), color=colour, lw=1.2)


def _surface(axes: "Axes", rays: Rays) -> None:
    """The outline, and where rays that miss it would have met the surface."""
    missed = rays.values[:, rays.lost_at == rays.plane][:, :DOTS]
    axes.plot(missed[Z], missed[X], ".", ms=1, color=RED)
    z, x = outline_line(rays)
    axes.plot(z, x, color="black", lw=1)
    axes.autoscale()


def outline_line(rays: Rays) -> tuple[Array, Array]:
    """[m], [m]: z and x of a surface's edge, closed, mm; of an endless one nothing."""
    outline = rays.outline
    if outline is None or not np.isfinite([outline.half_x, outline.half_z]).all():
        return np.zeros(0), np.zeros(0)
    if outline.shape == ELLIPSE:
        turn = np.linspace(0, 2 * np.pi, 200)
        return outline.centre + outline.half_z * np.cos(turn), outline.half_x * np.sin(turn)
    s = outline.half_z * np.array([-1, 1, 1, -1, -1])
    half = outline.half_x + outline.taper * s
    return outline.centre + s, half * np.array([-1, -1, 1, 1, -1])


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
    """The design ray from above and from the side, with the elements' names above both.

    Misaligned elements are red, and what is off is said. No text covers another.
    """
    from matplotlib.figure import Figure

    compiled = compile_beamline(beamline)
    places = compiled.origins[0] * 1e-3  # m
    names = (beamline.source.name, *compiled.names)
    off = misalignments(beamline)
    lines = [f"{name}: {text}" for name, text in off.items()]
    tall = 4.0 + (LINE * len(lines) + _longest(names)) / INCH
    wide = max(9.0, (len(names) + 1) * LINE / INCH / (RIGHT - LEFT))
    figure = Figure(figsize=(wide, tall))
    above, beside = figure.subplots(2, 1, sharex=True)
    figure.subplots_adjust(left=LEFT, right=RIGHT, bottom=0.5 / tall, top=3.6 / tall, hspace=0.12)
    z = places[:, 2]
    margin = 0.02 * max(float(np.ptp(z)), 1e-3)
    above.set_xlim(z.min() - margin, z.max() + margin)
    for axes, column, label in (above, 0, "x, m (from above)"), (beside, 1, "y, m (from the side)"):
        _draw(axes, z, places[:, column], [name in off for name in names], label)
    _name(above, z, names, off, wide * INCH * (RIGHT - LEFT))
    beside.set_xlabel("z, m", fontsize=8)
    if lines:
        figure.text(0.5, 1 - 4 / INCH / tall, "\n".join(lines), fontsize=SMALL, color=RED,
                    ha="center", va="top", parse_math=False)  # fmt: skip
    return figure


def _longest(names: Sequence[str]) -> float:
    """Points: how tall the names are when they stand upright, with the lines to the elements."""
    from matplotlib.textpath import TextPath

    plain = [name.replace("$", "S") or " " for name in names]  # no mathematics
    sizes = [TextPath((0, 0), name, size=SMALL).get_extents().width for name in plain]
    return max(sizes) + LEADER + 0.1 * INCH


def _name(
    axes: "Axes", z: Array, names: Sequence[str], off: Mapping[str, str], points: float
) -> None:
    """Upright names above the axes, as near to their elements as they can without touching."""
    low, high = axes.get_xlim()
    wanted = (z - low) / (high - low) * points
    for name, at, x in zip(names, wanted, _apart(wanted, LINE, points), strict=True):
        colour = RED if name in off else "black"
        line = {"arrowstyle": "-", "lw": 0.5, "color": colour, "shrinkA": 1, "shrinkB": 0}
        axes.annotate(
            name, (at / points, 1), (x - at, LEADER), xycoords="axes fraction",
            textcoords="offset points", rotation=90, ha="center", va="bottom", fontsize=SMALL,
            color=colour, parse_math=False, arrowprops={**line, "relpos": (0.5, 0)},
        )  # fmt: skip


def _apart(wanted: Array, gap: float, most: float) -> Array:
    """The nearest places (least squares) to `wanted` that are `gap` apart, within 0 and `most`.

    Less a gap for each place before it, they need only not fall: isotonic regression.
    """
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    places = isotonic_regression(wanted[order] - steps).x
    ends = gap / 2, most - gap / 2 - steps[-1]
    found = np.empty(len(wanted))
    found[order] = np.clip(places, *ends) + steps
    return found


def _draw(axes: "Axes", along: Array, across: Array, off: Sequence[bool], label: str) -> None:
    for z in along:
        axes.axvline(z, color=GREY, lw=0.5, alpha=0.4)
    axes.plot(along, across, color=BLUE, lw=1, marker="o", ms=3)
    axes.plot(along[off], across[off], color=RED, lw=0, marker="o", ms=5)
    reach = max(float(np.ptp(across)), 1e-3)
    axes.set_ylim(across.min() - 0.2 * reach, across.max() + 0.2 * reach)
    axes.set_ylabel(label, fontsize=8)
    axes.yaxis.set_label_coords(-0.075, 0.5)  # left of the longest numbers
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="y", color=GREY, alpha=0.2)


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """As PNG, written beside and renamed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_whole(path, buffer.getvalue())

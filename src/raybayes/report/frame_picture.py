"""What was measured, as it lies at the beam: before any number is drawn from it."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from raybayes.array_types import Array
from raybayes.diagnostics.style import BLUE, ORANGE
from raybayes.observations import Observation
from raybayes.observations.frames import Frame

UM = 1e3  # in one mm
LETTERS, LINES = 48, 14  # of a picture in letters
SHADES = " .:-=+*#%@"
SEEN = "seen against the beam, facing the source"


def frame_pictures(observation: Observation) -> dict[str, Figure]:
    """Each frame or profile that was read, with the optical axis and the region that is used."""
    frames = [frame for frame in observation.frames if frame.edges[0] is not None]
    if not frames:
        return {}
    columns = min(len(frames), 2)
    rows = -(-len(frames) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(9.5, 3.6 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(frames) :]:
        axis.axis("off")
    for axis, frame in zip(axes.flat, frames, strict=False):
        (_image if frame.values.ndim == 2 else _profile)(axis, frame)
    return {"frame": figure}


def _image(axis: Any, frame: Frame) -> None:
    whole = frame.whole or frame
    x, y = (UM * edges for edges in whole.edges if edges is not None)
    ends = (x[0], x[-1], y[0], y[-1])
    axis.imshow(whole.values, origin="lower", extent=ends, aspect="auto", cmap="viridis")
    axis.axvline(0, color="white", lw=0.7)
    axis.axhline(0, color="white", lw=0.7)
    used = [UM * edges for edges in frame.edges if edges is not None]
    corner = (used[0][0], used[1][0])
    size = (np.ptp(used[0]), np.ptp(used[1]))
    axis.add_patch(Rectangle(corner, *size, fill=False, color=ORANGE, lw=1.2))
    axis.set(
        xlim=ends[:2], ylim=ends[2:],
        xlabel=f"x [µm], to the right {SEEN}", ylabel="y [µm], up", title="as read",
    )  # fmt: skip


def _profile(axis: Any, frame: Frame) -> None:
    edges = frame.edges[0]
    assert edges is not None
    values = frame.values if frame.bad is None else np.where(frame.bad, np.nan, frame.values)
    axis.stairs(values, UM * edges, color=BLUE)
    axis.axvline(0, color=ORANGE, lw=0.8)
    axis.set(xlabel="position [µm]; the line is the optical axis", ylabel="counts", title="as read")


def in_letters(observation: Observation) -> list[str]:
    """The same for a terminal: a line of text for each row, the beam dark to bright."""
    lines: list[str] = []
    for frame in observation.frames:
        if frame.edges[0] is None:
            continue
        lines += _image_letters(frame) if frame.values.ndim == 2 else _profile_letters(frame)
    return lines


def _image_letters(frame: Frame) -> list[str]:
    whole = frame.whole or frame
    small = _shrunk(_shrunk(whole.values, LINES).T, LETTERS).T[::-1]
    rows = ["".join(row) for row in _shaded(small)]
    x, y = (UM * edges for edges in whole.edges if edges is not None)
    across, down = _place(x, len(rows[0])), len(rows) - 1 - _place(y, len(rows))
    if 0 <= across < len(rows[0]) and 0 <= down < len(rows):
        rows[down] = f"{rows[down][:across]}+{rows[down][across + 1 :]}"
    frame_ = [f"|{row}|" for row in rows]
    said = (
        f"x {x[0]:.4g} .. {x[-1]:.4g} µm to the right, {SEEN}; y {y[0]:.4g} .. {y[-1]:.4g} µm up;"
    )
    return [f"{said} + is the optical axis", *frame_]


def _profile_letters(frame: Frame) -> list[str]:
    edges = frame.edges[0]
    assert edges is not None
    values, edges = (
        (frame.values, edges) if edges[0] < edges[-1] else (frame.values[::-1], edges[::-1])
    )
    row = "".join(_shaded(_shrunk(values, LETTERS)[None])[0])
    at = _place(edges, len(row))
    marked = " " * at + "+" if 0 <= at < len(row) else "the optical axis is outside"
    return [f"|{row}| {UM * edges[0]:.4g} .. {UM * edges[-1]:.4g} µm", f" {marked} optical axis"]


def _place(edges: Array, count: int) -> int:
    """In which of as many equal parts 0 lies."""
    return int(np.floor(-edges[0] / (edges[-1] - edges[0]) * count))


def _shrunk(values: Array, count: int) -> Array:
    """[<= count, ...]: means of neighbouring rows."""
    parts = np.array_split(values, min(count, len(values)))
    return np.array([part.mean(axis=0) for part in parts])


def _shaded(values: Array) -> list[list[str]]:
    low, high = values.min(), values.max()
    steps = (values - low) / max(high - low, 1e-300) * (len(SHADES) - 1)
    return [[SHADES[round(step)] for step in row] for row in steps.tolist()]

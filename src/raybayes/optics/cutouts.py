"""Which rays of a block a blank, a slit or a beamstop lets live.

`lost` is [n]: 0 while a ray is alive, else 1 + the index of the element that lost it. A NaN,
which a ray that finds no surface carries, fails every comparison and is lost too.
"""

from numba import njit

from raybayes.array_types import Array, Ints
from raybayes.optics.rows import (
    CUTOUT,
    DX,
    ELLIPSE,
    JIT,
    NO_STOP,
    OPENING,
    OPENING_SHAPE,
    SHAPE,
    STOP,
    TAPER,
    X,
    Y,
)


@njit(**JIT)
def clip(row: Array, rays: Array, lost: Ints, mark: int, across: int) -> None:
    """Lose what misses the blank (`across` = Z) or the frame of a slit (Y)."""
    half_x, half_s, centre = row[CUTOUT], row[CUTOUT + 1], row[CUTOUT + 2]
    taper = row[TAPER]
    ellipse = row[SHAPE] == ELLIPSE
    for i in range(rays.shape[1]):
        x, s = abs(rays[X, i]), rays[across, i] - centre
        if ellipse:
            u, v = x / half_x, s / half_s
            inside = u * u + v * v <= 1.0
        else:
            inside = (x < half_x + taper * s) & (abs(s) < half_s)
        lost[i] = mark if (lost[i] == 0) & (not inside) else lost[i]


@njit(**JIT)
def clip_slit(row: Array, rays: Array, lost: Ints, mark: int) -> None:
    """Lose what misses the opening or hits the beamstop before it; both are centred."""
    open_x, open_y = row[OPENING], row[OPENING + 1]
    round_opening = row[OPENING_SHAPE] == ELLIPSE
    stop, stop_x, stop_y = row[STOP], row[STOP + 1], row[STOP + 2]
    for i in range(rays.shape[1]):
        x, y = abs(rays[X, i]), abs(rays[Y, i])
        inside = within(x, y, open_x, open_y, round_opening)
        if stop != NO_STOP:
            inside &= not within(x, y, stop_x, stop_y, stop == ELLIPSE)
        lost[i] = mark if (lost[i] == 0) & (not inside) else lost[i]


@njit(**JIT)
def within(x: float, y: float, half_x: float, half_y: float, ellipse: bool) -> bool:
    """|x|, |y| inside a rectangle (its edge excluded) or an ellipse (its edge included)."""
    if ellipse:
        u, v = x / half_x, y / half_y
        return u * u + v * v <= 1.0
    return (x < half_x) & (y < half_y)


@njit(**JIT)
def drop_evanescent(rays: Array, lost: Ints, mark: int) -> None:
    """Lose what has no direction: an order beyond the horizon, a surface without a hit."""
    for i in range(rays.shape[1]):
        gone = rays[DX, i] != rays[DX, i]
        lost[i] = mark if (lost[i] == 0) & gone else lost[i]

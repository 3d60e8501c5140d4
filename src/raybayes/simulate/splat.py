"""A Gaussian, blurred by a box where energy is carried: cut by a slit, added to bins."""

import math

import numpy as np
from numba import njit

from raybayes.array_types import Array
from raybayes.optics.rows import JIT

FAR = 4.0  # standard deviations; 6e-5 of a Gaussian lies beyond
# c0 (1 + c1 z + ... + c6 z^6)^-16, z >= 0: a normal distribution's tail (Abramowitz and Stegun
# 26.2.19, error 1.5e-7) and the integral of that tail from z on (fitted in the same form, error
# 5e-8). Unlike erf they vectorise.
TAIL = 0.5, 0.0498673470, 0.0211410061, 0.0032776263, 3.80036e-5, 4.88906e-5, 5.3830e-6
BEYOND = (
    0.3989422804, 0.0783318985, 0.0209077052, 0.00331876073, 2.51372852e-4, 1.91542719e-5,
    8.6204172e-6,
)  # fmt: skip
NARROW = 0.5  # a box of less than this many standard deviations is as good as a Gaussian


@njit(inline="always")
def _decay(c: tuple[float, ...], z: float) -> float:
    """c0 (1 + c1 z + ... + c6 z^6)^-16."""
    p = 1.0 + z * (c[1] + z * (c[2] + z * (c[3] + z * (c[4] + z * (c[5] + z * c[6])))))
    p *= p
    p *= p
    p *= p
    return c[0] / (p * p)


@njit(inline="always")
def cdf(z: float) -> float:
    """The normal distribution function."""
    tail = _decay(TAIL, abs(z))
    return 1.0 - tail if z > 0.0 else tail


@njit(inline="always")
def ramp(z: float) -> float:
    """The integral of the normal distribution function up to z."""
    return max(z, 0.0) + _decay(BEYOND, abs(z))


@njit(**JIT)
def truncate(mean: Array, cov: Array, f: int, low: float, high: float) -> float:
    """Condition a Gaussian [F], [F, F] on low < component f < high; returns the mass that passes.

    Mean and covariance become those of the truncated normal: mean += cov[:, f] / v * shift,
    cov -= cov[:, f] cov[f, :] / v^2 * (v - v'), changed in place.
    """
    variance = cov[f, f]
    sd = math.sqrt(variance)
    if low < mean[f] - FAR * sd and mean[f] + FAR * sd < high:
        return 1.0
    if sd == 0.0 or mean[f] + FAR * sd < low or mean[f] - FAR * sd > high:
        return 1.0 if low < mean[f] < high else 0.0
    a, b = (low - mean[f]) / sd, (high - mean[f]) / sd
    root = 1.0 / math.sqrt(2.0)
    # In the upper tail both distribution functions are near 1: use the mirror image there.
    if a > 0.0:
        mass = 0.5 * (math.erfc(a * root) - math.erfc(b * root))
    else:
        mass = 0.5 * (math.erfc(-b * root) - math.erfc(-a * root))
    if mass < 1e-12:
        return 0.0
    density_a = math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi) / mass
    density_b = math.exp(-0.5 * b * b) / math.sqrt(2.0 * math.pi) / mass
    shift = density_a - density_b
    shrink = shift * shift - (a * density_a - b * density_b)
    size = mean.shape[0]
    column = cov[:, f].copy()
    for i in range(size):
        mean[i] += column[i] / sd * shift
        for j in range(size):
            cov[i, j] -= column[i] * column[j] / variance * shrink
    return mass


@njit(**JIT)
def carry_energy(
    mean: Array, cov: Array, slope: Array, f: int, half: float, low: float, high: float
) -> float:
    """Trade a uniform energy in (low, high) for a uniform place in the slit |component f| < half.

    mean [F], cov [F, F]: places at energy 0; slope [F]: how they move with the energy. Where
    the band is wider than what the slit passes, the place in the slit is uniform whatever the
    other variables are. Changed in place: mean is at the middle of the slit, cov is what is left
    when the place in the slit is known, slope is the half width of the box in each component,
    with the sign of its change along the slit.

    Returns the share of the band that passes.
    """
    a, b = mean[f] + slope[f] * low, mean[f] + slope[f] * high
    bottom, top = max(min(a, b), -half), min(max(a, b), half)
    if not top > bottom:
        return 0.0
    middle, share = 0.5 * (bottom + top) - mean[f], (top - bottom) / abs(b - a)
    slope /= slope[f]  # from now on per mm of the slit
    size = mean.shape[0]
    for i in range(size):
        mean[i] += slope[i] * middle
        for j in range(size):
            if i != f and j != f:
                cov[i, j] += slope[i] * (slope[j] * cov[f, f] - cov[j, f]) - slope[j] * cov[i, f]
    cov[f, :] = cov[:, f] = 0.0
    slope *= 0.5 * (top - bottom)
    return share


@njit(**JIT)
def deposit(
    out: Array, centre: float, sd: float, box: float, bin_width: float, weight: float, edges: Array
) -> None:
    """Add a Gaussian blurred by a box of half width `box`, integrated over bins around 0, to out.

    centre, sd, box and bin_width, the width of a bin, in mm; weight: the integral.
    edges: scratch, one more than out at least.
    """
    n = out.shape[0]
    if box < NARROW * sd:
        sd, box = math.sqrt(sd * sd + box * box / 3.0), 0.0
    reach = FAR * sd + box
    first = max(0, math.floor((centre - reach) / bin_width + 0.5 * n))
    last = min(n, math.floor((centre + reach) / bin_width + 0.5 * n) + 1)
    if first >= last:
        return
    # Two loops, each of which vectorises; one with a running difference would not.
    start, step = ((first - 0.5 * n) * bin_width - centre) / sd, bin_width / sd
    if box == 0.0:
        for k in range(last - first + 1):
            edges[k] = cdf(start + k * step)
    else:
        w = box / sd
        weight *= 0.5 / w
        for k in range(last - first + 1):
            z = start + k * step
            edges[k] = ramp(z + w) - ramp(z - w)
    for k in range(last - first):
        out[first + k] += weight * (edges[k + 1] - edges[k])


@njit(**JIT)
def deposit_image(
    out: Array,
    centre: tuple[float, float],
    cov: tuple[float, float, float],
    box: tuple[float, float],
    bin_width: Array,
    weight: float,
    edges: Array,
) -> None:
    """Add a splat, as `deposit` does, to an image [rows along y, columns along x].

    centre: x, y, mm; cov: xx, xy, yy of the Gaussian, mm^2; box: its half widths in x and y, with
    signs. The sum over columns is exact. In each row x is a Gaussian with the mean and the variance
    that a Gaussian of the same covariance as Gaussian and box together has there.
    edges: scratch, one more than either side at least.
    """
    n, (x, y) = out.shape[0], centre
    rows = np.zeros(n)
    deposit(rows, y, math.sqrt(cov[2]), abs(box[1]), bin_width[1], weight, edges)
    xx, yy = cov[0] + box[0] ** 2 / 3.0, cov[2] + box[1] ** 2 / 3.0
    xy = cov[1] + box[0] * box[1] / 3.0
    sd, slope = math.sqrt(yy), xy / yy
    rest = max(xx - slope * xy, 1e-18)
    for row in range(n):
        if rows[row] <= 0.0:
            continue
        a = ((row - 0.5 * n) * bin_width[1] - y) / sd
        b = a + bin_width[1] / sd
        mass = cdf(b) - cdf(a)
        if mass > 1e-3:
            at_a = math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi) / mass
            at_b = math.exp(-0.5 * b * b) / math.sqrt(2.0 * math.pi) / mass
            middle = at_a - at_b
            width = max(1.0 + a * at_a - b * at_b - middle * middle, 0.0)
        else:  # the tail lies at the nearer edge
            middle, width = a if a > 0.0 else b, 0.0
        deposit(
            out[row], x + slope * sd * middle, math.sqrt(rest + slope * slope * yy * width),
            0.0, bin_width[0], rows[row], edges,
        )  # fmt: skip

"""Monotone maps of single coordinates, y = f(x; raw), with d log y / dx and their inverses.

`raw` [..., parameters] are numbers without bounds, as a network gives them; all zero is nearly
the identity. Shapes broadcast: x, y and the log-slope have raw's shape without its last axis.
"""

import math
from typing import ClassVar, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

CLAMP = 1.9  # soft clamp of log-scales, arXiv 1907.02392
FLOOR = 1e-3  # smallest width, height and slope of a spline's bin, arXiv 1906.04032
UNIT = math.log(math.e - 1 - FLOOR)  # softplus(UNIT) + FLOOR is about 1

Coordinates = Float[Array, "..."]
Raw = Float[Array, "... parameters"]


class Transform(Protocol):
    """A monotone map of one coordinate."""

    @property
    def parameters(self) -> int: ...

    def forward(self, x: Coordinates, raw: Raw) -> tuple[Coordinates, Coordinates]:
        """y and log dy/dx."""
        ...

    def inverse(self, y: Coordinates, raw: Raw) -> Coordinates: ...


class Affine(eqx.Module):
    """y = x exp(s) + t with s = (2 a / pi) atan(raw / a), arXiv 1907.02392."""

    parameters: ClassVar[int] = 2

    def forward(self, x: Coordinates, raw: Raw) -> tuple[Coordinates, Coordinates]:
        s = self._log_scale(raw)
        return x * jnp.exp(s) + raw[..., 1], s

    def inverse(self, y: Coordinates, raw: Raw) -> Coordinates:
        return (y - raw[..., 1]) * jnp.exp(-self._log_scale(raw))

    def _log_scale(self, raw: Raw) -> Coordinates:
        return (2 * CLAMP / math.pi) * jnp.arctan(raw[..., 0] / CLAMP)


class _Bin(NamedTuple):
    """The bin of a spline that a coordinate falls into, in the symbols of arXiv 1906.04032."""

    x_k: Coordinates
    y_k: Coordinates
    w: Coordinates  # width
    h: Coordinates  # height
    d_k: Coordinates  # slopes at both ends
    d_next: Coordinates


class Spline(eqx.Module):
    """A rational-quadratic spline of K bins on [-B, B], the identity outside, arXiv 1906.04032."""

    bins: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)

    @property
    def parameters(self) -> int:
        return 3 * self.bins - 1

    def forward(self, x: Coordinates, raw: Raw) -> tuple[Coordinates, Coordinates]:
        inside, safe = self._inside(x)
        knots_x, knots_y, slopes = self._knots(raw)
        bin_ = _bin(safe, knots_x, knots_x, knots_y, slopes)
        s, xi = bin_.h / bin_.w, (safe - bin_.x_k) / bin_.w
        bend = bin_.d_next + bin_.d_k - 2 * s
        across = xi * (1 - xi)
        below = s + bend * across
        y = bin_.y_k + bin_.h * (s * xi**2 + bin_.d_k * across) / below  # eq. 4
        slope = bin_.d_next * xi**2 + 2 * s * across + bin_.d_k * (1 - xi) ** 2  # eq. 5
        log_slope = 2 * jnp.log(s) + jnp.log(slope) - 2 * jnp.log(below)
        return jnp.where(inside, y, x), jnp.where(inside, log_slope, 0)

    def inverse(self, y: Coordinates, raw: Raw) -> Coordinates:
        inside, safe = self._inside(y)
        knots_x, knots_y, slopes = self._knots(raw)
        bin_ = _bin(safe, knots_y, knots_x, knots_y, slopes)
        s, up = bin_.h / bin_.w, safe - bin_.y_k
        bend = up * (bin_.d_next + bin_.d_k - 2 * s)
        a, b, c = bin_.h * (s - bin_.d_k) + bend, bin_.h * bin_.d_k - bend, -s * up  # eqs. 6-8
        xi = 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0)))
        return jnp.where(inside, bin_.x_k + xi * bin_.w, y)

    def _inside(self, x: Coordinates) -> tuple[Bool[Array, "..."], Coordinates]:
        """Which coordinates the spline changes; where it does not, a harmless stand-in."""
        inside = jnp.abs(x) < self.bound
        return inside, jnp.where(inside, x, 0)

    def _knots(self, raw: Raw) -> tuple[Raw, Raw, Raw]:
        """[..., K + 1] each: places x and y of the knots, and the slopes there."""
        k = self.bins
        slopes = FLOOR + jax.nn.softplus(raw[..., 2 * k :] + UNIT)
        pad = [(0, 0)] * (raw.ndim - 1)
        return (
            self._places(raw[..., :k]),
            self._places(raw[..., k : 2 * k]),
            jnp.pad(slopes, [*pad, (1, 1)], constant_values=1),
        )

    def _places(self, raw: Raw) -> Raw:
        shares = FLOOR + (1 - FLOOR * self.bins) * jax.nn.softmax(raw, axis=-1)
        inner = 2 * self.bound * jnp.cumsum(shares, axis=-1)[..., :-1] - self.bound
        pad = [(0, 0)] * (raw.ndim - 1)
        inner = jnp.pad(inner, [*pad, (1, 0)], constant_values=-self.bound)
        return jnp.pad(inner, [*pad, (0, 1)], constant_values=self.bound)


def _bin(at: Coordinates, where: Raw, knots_x: Raw, knots_y: Raw, slopes: Raw) -> _Bin:
    """The bin of `where`'s knots that `at` lies in.

    Picked by sums over a mask: a gather's derivative is a scatter, which is slow on a CPU.
    """
    place = at[..., None]
    mask = (place >= where[..., :-1]) & (place < where[..., 1:])

    def pick(values: Raw) -> Coordinates:
        return jnp.where(mask, values, 0).sum(axis=-1)

    x_k, y_k = pick(knots_x[..., :-1]), pick(knots_y[..., :-1])
    w, h = pick(jnp.diff(knots_x, axis=-1)), pick(jnp.diff(knots_y, axis=-1))
    return _Bin(x_k, y_k, w, h, pick(slopes[..., :-1]), pick(slopes[..., 1:]))


class AffineSpline(eqx.Module):
    """A spline after an affine map: sharp posteriors take the scale, bent ones the spline."""

    spline: Spline

    @property
    def parameters(self) -> int:
        return Affine.parameters + self.spline.parameters

    def forward(self, x: Coordinates, raw: Raw) -> tuple[Coordinates, Coordinates]:
        y, first = Affine().forward(x, raw[..., :2])
        y, second = self.spline.forward(y, raw[..., 2:])
        return y, first + second

    def inverse(self, y: Coordinates, raw: Raw) -> Coordinates:
        return Affine().inverse(self.spline.inverse(y, raw[..., 2:]), raw[..., :2])

"""The detector: two exposures, one for each profile, with a known likelihood."""

import math
from typing import Any, Literal, Self

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    model_validator,
)

from raybayes.array_types import Array
from raybayes.optics import JIT
from raybayes.optics.threads import in_threads

MOST = 1e15  # counts, which are whole numbers in float64
NEGLIGIBLE = 1e-17  # share of the largest summand below which no more are summed


class Detector(BaseModel):
    """A horizontal and a vertical profile of the beam at the last element, one after the other.

    Or, in one exposure, its image: the observation is then the rows from below, each from left
    to right. A bin's reading is Poisson(expected) + Gaussian read noise, where expected =
    photons * (fraction of the source's photons that fall in the bin) + background. A bin of
    which nothing is known, as of a dead pixel, reads NaN; the likelihood leaves it out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reads: Literal["profiles", "image"] = "profiles"
    bins: tuple[NonNegativeInt, NonNegativeInt] = Field(
        (100, 100), description="horizontal, vertical; 0 for a profile that is not read"
    )
    # Its first name was `pitch`, which in optics is an angle: that is still read, and written into
    # hashes and runs, so that they stay as they are.
    bin_width: tuple[PositiveFloat, PositiveFloat] = Field(
        (0.010, 0.0025),
        validation_alias=AliasChoices("bin_width", "pitch"),
        serialization_alias="pitch",
        description="mm",
    )
    psf: tuple[NonNegativeFloat, NonNegativeFloat] = Field(
        (0.003, 0.003), description="rms point spread, mm"
    )
    photons: float = Field(
        1e5, gt=0, le=MOST, description="emitted in the energy band, per exposure"
    )
    background: float = Field(10.0, ge=0, le=MOST, description="counts per bin")
    read_noise: float = Field(5.0, ge=0, description="counts rms per bin")

    @model_validator(mode="after")
    def _sees_everywhere(self) -> Self:
        if self.background + self.read_noise == 0:
            raise ValueError(
                "background and read_noise are both 0, so a single photon where none is expected "
                "would be impossible; give the dark counts, as background = 0.01"
            )
        return self

    @model_validator(mode="after")
    def _sees_something(self) -> Self:
        if self.size == 0:
            raise ValueError(f"bins {list(self.bins)} hold no reading; give at least one profile")
        return self

    @property
    def size(self) -> int:
        """The length of an observation x."""
        return math.prod(self.bins) if self.reads == "image" else sum(self.bins)

    @property
    def features(self) -> dict[str, Any]:
        """How a network should see x: keywords of every recipe of `raybayes.density`.

        The generalised Anscombe transform, unit noise at every level.
        """
        return {"features": "counts", "offset": self.read_noise**2 + 3 / 8}

    def edges(self, axis: int) -> Array:
        """The edges of the bins along one axis, centred on the optical axis.

        Args:
            axis: 0 is horizontal, 1 vertical.

        Returns:
            [bins + 1], mm, ascending.
        """
        n = self.bins[axis]
        return np.asarray((np.arange(n + 1) - n / 2) * self.bin_width[axis], np.float64)

    def counts(self, places: Array, weight: Array) -> Array:
        """Rays at places [2, n] (mm) of weight [n], summed in the bins: [size]."""
        edges = [self.edges(axis) for axis in (0, 1)]
        if self.reads == "image":
            (x, y), bins = places, [edges[1], edges[0]]
            return np.histogram2d(y, x, bins, weights=weight)[0].ravel()
        pairs = zip(places, edges, strict=True)
        return np.concatenate([np.histogram(p, e, weights=weight)[0] for p, e in pairs])

    def counted(
        self, places: Array, weight: Array, emitted: int, rng: np.random.Generator
    ) -> Array:
        """Random rays at places [2, n] (mm), blurred by the point spread: fractions [size].

        Args:
            weight: [n], what is left of each ray's intensity.
            emitted: how many rays the source emitted.
        """
        blur = rng.standard_normal(places.shape)
        return self.counts(places + np.asarray(self.psf)[:, None] * blur, weight) / emitted

    def profiles(self, x: ArrayLike) -> Array:
        """Of observations [..., size]: the profiles along x and y [..., sum of bins], counts.

        An image's are sums of what is known; NaN where nothing is.
        """
        values = np.asarray(x, np.float64)
        if self.reads == "profiles":
            return values
        image = values.reshape(*values.shape[:-1], *self.bins[::-1])
        known = ~np.isnan(image)
        sums = [np.where(known.any(axis=a), np.nansum(image, axis=a), np.nan) for a in (-2, -1)]
        return np.concatenate(sums, axis=-1)

    def alike(self, x: Array, predicted: Array) -> Array:
        """Profiles of predictions [n, size], an image's summed over what is known of x [size]."""
        image = self.reads == "image"
        return self.profiles(np.where(np.isnan(x) & image, np.nan, predicted))

    def filled(self, x: ArrayLike) -> Array:
        """Readings [..., size] with the background where nothing is known."""
        values = np.asarray(x, np.float64)
        return np.where(np.isnan(values), self.background, values)

    def expected_counts(self, profile: ArrayLike) -> Array:
        """Fractions [..., bins] -> expected counts [..., bins]."""
        return self.photons * np.asarray(profile, np.float64) + self.background

    def variance(self, expected_counts: ArrayLike, noise: float = 0.0) -> Array:
        """Of a reading of expected counts [..., bins], for chi^2: [..., bins], counts^2.

        A dark bin's Poisson variance is taken as 1. noise: of the simulator itself, as a share of
        that of the light.
        """
        counts = np.asarray(expected_counts, np.float64)
        light = np.maximum(counts - self.background, 0.0)
        return np.maximum(counts, 1.0) + self.read_noise**2 + noise * light

    def observe(self, profile: ArrayLike, rng: np.random.Generator) -> Array:
        """Fractions [..., bins] -> one noisy reading of each [..., bins], counts."""
        # An engine's own rounding may put a bin below zero.
        counts = rng.poisson(np.maximum(self.expected_counts(profile), 0.0))
        return np.asarray(counts + self.read_noise * rng.standard_normal(counts.shape))

    def log_likelihood(self, x: ArrayLike, profile: ArrayLike, noise: float = 0.0) -> Array:
        """log p(x | profile), exact: the Poisson distribution convolved with the Gaussian.

        Args:
            x: [..., bins] counts; NaN where nothing is known.
            profile: [..., bins] fractions; broadcasts against x.
            noise: of the profile itself, as a share of the light's own variance: it widens the
                Gaussian.

        Returns:
            [...], in nats.
        """
        x, mean = np.broadcast_arrays(np.asarray(x, np.float64), self.expected_counts(profile))
        shape = x.shape[:-1]
        flat_x, flat_mean = (a.reshape(-1, a.shape[-1]).copy() for a in (x, mean))
        total = np.empty(len(flat_x))

        def some(start: int, stop: int) -> None:
            part = slice(start, stop)
            total[part] = _poisson_gauss(
                flat_x[part], flat_mean[part], self.read_noise, float(noise), self.background
            )

        in_threads(some, len(flat_x))
        return total.reshape(shape)


@njit(nogil=True, **JIT)
def _poisson_gauss(
    x: Array, mean: Array, read_noise: float, noise: float, background: float
) -> Array:
    """[n]: sum over the bins of log sum_k Poisson(k; mean) Normal(x - k; sigma)."""
    total = np.zeros(x.shape[0])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if math.isnan(x[i, j]):
                continue
            sigma = read_noise
            if noise > 0.0:
                light = max(mean[i, j] - background, 0.0)
                sigma = math.sqrt(read_noise * read_noise + noise * light)
            total[i] += _log_poisson_gauss(x[i, j], mean[i, j], sigma)
    return total


@njit(**JIT)
def _log_poisson_gauss(x: float, mean: float, sigma: float) -> float:
    if math.isinf(x):
        return -math.inf
    if mean <= 0.0:  # no light: read noise alone
        return _log_normal(x, sigma) if sigma > 0.0 else (0.0 if x == 0.0 else -math.inf)
    if sigma == 0.0:
        return _log_poisson(x, mean) if x >= 0.0 and x == math.floor(x) else -math.inf
    # The summand is log-concave in k: from its peak outwards each term is a smaller and smaller
    # share of the last, and shares follow from each other without another logarithm.
    peak, precision = _peak(x, mean, sigma), 1.0 / (sigma * sigma)
    narrower, sum_ = math.exp(-precision), 1.0
    k, term, share = peak, 1.0, math.exp(_log_share(peak, x, mean, precision))
    while term > NEGLIGIBLE:
        term *= share
        sum_ += term
        k += 1.0
        share *= k / (k + 1.0) * narrower
    k, term, share = peak, 1.0, math.exp(-_log_share(peak - 1.0, x, mean, precision))
    while term > NEGLIGIBLE and k > 0.0:
        term *= share
        sum_ += term
        k -= 1.0
        share *= k / (k + 1.0) * narrower
    return _log_poisson(peak, mean) + _log_normal(x - peak, sigma) + math.log(sum_)


@njit(**JIT)
def _peak(x: float, mean: float, sigma: float) -> float:
    """The k >= 0 whose summand is largest."""
    precision = 1.0 / (sigma * sigma)
    # Newton on the slope, which falls and is convex: from where it is not negative.
    k = max(0.0, min(x, mean - 0.5))
    for _ in range(60):
        slope = math.log(mean / (k + 0.5)) + (x - k) * precision
        step = slope / (1.0 / (k + 0.5) + precision)
        k = max(0.0, k + step)
        if abs(step) < 0.5:
            break
    k = math.floor(k)
    for _ in range(3):  # the slope's zero is not quite the integers' maximum
        if _log_share(k, x, mean, precision) > 0.0:
            k += 1.0
        elif k > 0.0 and _log_share(k - 1.0, x, mean, precision) < 0.0:
            k -= 1.0
    return k


@njit(**JIT)
def _log_share(k: float, x: float, mean: float, precision: float) -> float:
    """Of the summand at k + 1 in that at k; 0 at k = -1, from where nothing is asked."""
    return math.log(mean / (k + 1.0)) + (x - k - 0.5) * precision if k >= 0.0 else 0.0


@njit(**JIT)
def _log_poisson(k: float, mean: float) -> float:
    return k * math.log(mean) - mean - math.lgamma(k + 1.0)


@njit(**JIT)
def _log_normal(x: float, sigma: float) -> float:
    return -0.5 * (x / sigma) ** 2 - math.log(sigma) - 0.5 * math.log(2.0 * math.pi)

"""Gain, read noise and background of a camera, from its own frames.

A pixel's reading is gain * photons + background, so its variance grows with its mean by the gain
(Janesick, Photon Transfer, 2007, chapter 5). Noise is what a smooth beam has not: the response to a
kernel that no plane and no slope reaches, with the variance of a pixel (Immerkaer, Computer Vision
and Image Understanding 64, 300 (1996)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError

ABOUT = 2.0  # pixels: sd of the Gaussian that tells how bright it is about a pixel
LEVELS = 24  # of brightness, each with as many pixels
FEWEST = 100  # pixels of a level
KERNEL = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0
MAD = 1.4826  # a normal standard deviation over its median absolute deviation
REPEATS = 200  # bootstrap
# Neighbours' responses share pixels: the sum of their squared correlations, in both directions.
SHARED = (1 + 2 * ((4 / 6) ** 2 + (1 / 6) ** 2)) ** 2
STEPS, EVEN = 10, 1e-3  # of the fit; a share of the mean variance that no level is better than
SURE = 3.0  # standard errors that the gain is above 0, to be told


@dataclass(frozen=True)
class Camera:
    """What frames say of a camera, in units of the file.

    Attributes:
        gain: units of the file for each photon that is counted; background: of a dark pixel.
        read_noise: rms of a dark pixel.
        gain_error, read_noise_error: standard errors.
        level, variance: [LEVELS], what the gain was fitted to.
    """

    gain: float
    gain_error: float
    read_noise: float
    read_noise_error: float
    background: float
    level: Array
    variance: Array

    @property
    def counts(self) -> float:
        """Counts for each unit of the file: `gain` of [observation]."""
        return 1.0 / self.gain


def camera(dark: Array, frames: Sequence[Array], rng: np.random.Generator) -> Camera:
    """Of a dark frame [rows, columns] and frames of a beam, whether it moves or not.

    Raises:
        InputError: frames of another shape, too few pixels, or no noise that grows with the light.
    """
    for frame in frames:
        if frame.shape != dark.shape or min(frame.shape, default=0) < 4:
            raise InputError(
                f"a frame has {frame.shape} pixels where the dark one has {dark.shape}; give whole "
                "frames of one camera"
            )
    plain = _noise(dark)
    read_variance = (MAD * np.median(np.abs(plain))) ** 2
    background = float(dark.mean())
    level = np.concatenate([_smooth(frame).ravel() for frame in frames]) - background
    noise = np.concatenate([_noise(frame).ravel() for frame in frames])
    levels = _levels(level, noise)
    fits = np.array([_line(level, noise, read_variance, rows) for rows in _resampled(levels, rng)])
    middle, variance, gain = _fitted(level, noise, read_variance, levels)
    error = float(fits.std() * np.sqrt(SHARED))
    if not gain > SURE * error:
        raise InputError(
            f"the noise does not grow with the light ({gain:.3g} ± {error:.2g} units of the file "
            "for each photon): give frames with more light, as the camera stored them"
        )
    read_noise = float(np.sqrt(read_variance))
    return Camera(gain, error, read_noise, read_noise / np.sqrt(2 * plain.size / 9), background,
                  middle, variance)  # fmt: skip


def _noise(frame: Array) -> Array:
    """[rows - 2, columns - 2], of the variance of a pixel's noise, without a smooth beam."""
    from scipy.signal import convolve2d  # slow to load, and seldom needed

    return np.asarray(convolve2d(frame, KERNEL, mode="valid"))


def _smooth(frame: Array) -> Array:
    """[rows - 2, columns - 2]: the light about each pixel."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(frame, ABOUT)[1:-1, 1:-1])


def _levels(level: Array, noise: Array) -> list[np.ndarray]:
    """Rows of the pixels of each level of brightness; the dark ones are one level."""
    order = np.argsort(level)
    # Evenly in brightness: most of a frame is dark.
    edges = np.linspace(0, level.max(), LEVELS + 1)[1:-1]
    parts = np.split(order, np.searchsorted(level[order], edges))
    found = [part for part in parts if len(part) >= FEWEST]
    if len(found) < 3:
        raise InputError(
            "too few pixels are lit to tell noise from light; give frames with a larger beam, or "
            "more of them"
        )
    return found


def _resampled(levels: list[np.ndarray], rng: np.random.Generator) -> list[list[np.ndarray]]:
    return [[rng.choice(rows, len(rows)) for rows in levels] for _ in range(REPEATS)]


def _line(level: Array, noise: Array, read: float, levels: list[np.ndarray]) -> float:
    return _fitted(level, noise, read, levels)[2]


def _fitted(
    level: Array, noise: Array, read: float, levels: list[np.ndarray]
) -> tuple[Array, Array, float]:
    """Mean light and mean square of each level, and how the variance grows with the light."""
    middle = np.array([level[rows].mean() for rows in levels])
    # Not by the median: the mean of squares grows with the mean of the light, however it spreads.
    variance = np.array([(noise[rows] ** 2).mean() for rows in levels])
    count, gain = np.array([len(rows) for rows in levels]), 0.0
    for _ in range(STEPS):  # weights by the line itself: by each level's own they would be biased
        expected = read + gain * np.maximum(middle, 0.0) + EVEN * variance.mean()
        weight = count / expected**2
        gain = float((weight * middle * (variance - read)).sum() / (weight * middle**2).sum())
        gain = max(gain, 0.0)
    return middle, variance, gain

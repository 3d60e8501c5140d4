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

# How bright it is about a pixel, by others than those of the noise: else bright noise would make
# a level, and its light be taken for more than it is. The noise has the kernel's squares of light.
AROUND = np.pad(np.zeros((3, 3)), 3, constant_values=1.0) / 72
LEVELS = 24  # of brightness
FEWEST = 100  # pixels of a level
KERNEL = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0
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
    from scipy.stats import median_abs_deviation  # slow to load, and seldom needed

    plain = _response(dark, KERNEL)
    read_noise = float(median_abs_deviation(plain, axis=None, scale="normal"))
    read_variance = read_noise**2
    background = float(dark.mean())
    around, level, noise = (
        np.concatenate([_response(frame, kernel).ravel() for frame in frames])
        for kernel in (AROUND, KERNEL**2, KERNEL)
    )
    levels, level = _levels(around - background), level - background
    fits = np.empty(REPEATS)
    for i in range(REPEATS):
        again = [rng.choice(rows, len(rows)) for rows in levels]
        fits[i] = _fitted(level, noise, read_variance, again)[2]
    middle, variance, gain = _fitted(level, noise, read_variance, levels)
    error = float(fits.std() * np.sqrt(SHARED))
    if not gain > SURE * error:
        raise InputError(
            f"the noise does not grow with the light ({gain:.3g} ± {error:.2g} units of the file "
            "for each photon): give frames with more light, as the camera stored them"
        )
    return Camera(gain, error, read_noise, read_noise / np.sqrt(2 * plain.size / 9), background,
                  middle, variance)  # fmt: skip


def _response(frame: Array, kernel: Array) -> Array:
    """[rows - 2, columns - 2], of a frame to a kernel."""
    from scipy.ndimage import convolve

    return np.asarray(convolve(frame, kernel, mode="nearest")[1:-1, 1:-1])


def _levels(level: Array) -> list[np.ndarray]:
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

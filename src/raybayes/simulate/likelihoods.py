"""Likelihoods of other records than two exposures: one image, and counted rays.

`Detector.log_likelihood` is that of a horizontal and a vertical exposure, whose noises are
independent. Both profiles of one image hold the same photons, so their noises are not.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import multinomial, multivariate_normal

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.simulate.detector import Detector


def image_marginals(detector: Detector, image: ArrayLike) -> tuple[Array, Array]:
    """Mean [bins] and covariance [bins, bins] of the two profiles that one image sums to, counts.

    A pixel's reading is Poisson(photons * fraction + background) + read noise; here background
    and read noise are those of a pixel. Cov(h_i, v_j) is the variance of the pixel in column i
    of row j, the only one that both share: exact, whatever the image.

    Args:
        image: [rows, columns], rows from below, fractions of the source's photons.

    Raises:
        InputError: the image has another shape than the detector's.
    """
    fractions = np.asarray(image, np.float64)
    if fractions.shape != detector.bins[::-1]:
        raise InputError(
            f"the image has shape {fractions.shape}; the detector's, [rows, columns], is "
            f"{detector.bins[::-1]}"
        )
    mean = detector.expected_counts(fractions)
    variance = mean + detector.read_noise**2
    across, along = np.diag(variance.sum(axis=0)), np.diag(variance.sum(axis=1))
    return (
        np.concatenate([mean.sum(axis=0), mean.sum(axis=1)]),
        np.block([[across, variance.T], [variance, along]]),
    )


def image_log_likelihood(x: ArrayLike, detector: Detector, image: ArrayLike) -> Array:
    """log p(profiles | image), [...], in nats; by the profiles' normal distribution.

    Good where a profile's bin holds some ten counts or more. Both profiles have the same sum, so
    the covariance is singular in one direction, in which x says nothing.

    Args:
        x: [..., bins], both profiles of one image, counts.
        image: [rows, columns], rows from below, expected fractions.
    """
    mean, covariance = image_marginals(detector, image)
    return np.asarray(multivariate_normal(mean, covariance, allow_singular=True).logpdf(x))


def separable_image(detector: Detector, profile: ArrayLike) -> Array:
    """[rows, columns], rows from below: the image without correlation of these profiles [bins]."""
    across, along = np.split(np.asarray(profile, np.float64), [detector.bins[0]])
    return np.outer(along, across) / along.sum()


def counting_log_likelihood(counts: ArrayLike, profile: ArrayLike, rays: int) -> Array:
    """log p(counts | profile), [...], in nats: N rays each fall in one bin or in none.

    Args:
        counts: [..., bins] of one profile, whole numbers.
        profile: [..., bins], the probability of each bin.
        rays: N.

    Raises:
        InputError: counts that are no whole numbers from 0, or more than N in all.
    """
    seen, share = np.asarray(counts, np.float64), np.asarray(profile, np.float64)
    if (seen < 0).any() or (seen.sum(axis=-1) > rays).any() or (seen != np.round(seen)).any():
        raise InputError(f"counts must be whole numbers from 0, and no more than {rays} in all")
    missed = rays - seen.sum(axis=-1, keepdims=True)
    rest = np.maximum(1 - share.sum(axis=-1, keepdims=True), 0)
    every = np.concatenate([share, rest], axis=-1)
    return np.asarray(multinomial.logpmf(np.concatenate([seen, missed], axis=-1), rays, every))

"""Do the summaries of a beam say where it lies and how wide it is?"""

import numpy as np
import pytest

from raybayes.analysis.beam_alarms import beam_summaries
from raybayes.simulate.detector import Detector


@pytest.mark.parametrize("reads", ["profiles", "image"])
def test_summaries_of_a_beam(reads):
    """Total, centroid and width of a Gaussian beam, above its background."""
    detector = Detector(
        reads=reads, bins=(60, 50), bin_width=(0.01, 0.01), background=4, read_noise=0
    )
    edges = [detector.edges(axis) for axis in (0, 1)]
    x, y = ((e[1:] + e[:-1]) / 2 for e in edges)
    along = [np.exp(-0.5 * ((x - 0.05) / 0.04) ** 2), np.exp(-0.5 * ((y + 0.03) / 0.02) ** 2)]
    image = 1e5 * np.outer(along[1] / along[1].sum(), along[0] / along[0].sum()) + 4
    flat = image.ravel() if reads == "image" else np.concatenate(
        [1e5 * a / a.sum() + 4 for a in along]
    )  # fmt: skip
    found = beam_summaries(detector, flat[None])[0]
    np.testing.assert_allclose(found, [1e5, 50, -30, 40, 20], rtol=0.01)

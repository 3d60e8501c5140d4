"""Does a detector that reads one profile alone see what one that reads both does?"""

from dataclasses import replace

import numpy as np
import pytest

from raybayes.simulate.accuracy import choose
from raybayes.simulate.counted_check import compare, count
from raybayes.simulate.detector import Detector
from raybayes.simulate.photons import counted_observations
from raybayes.simulate.simulator import Tracing
from raybayes.study.study import read_study


@pytest.mark.parametrize("bins, part", [((0, 100), slice(100, None)), ((100, 0), slice(100))])
def test_it_is_that_part_of_both(bins, part):
    study, beamline = read_study("ue112")
    simulator = study.simulator(beamline)
    theta = study.prior.sample(3, np.random.default_rng(0))
    one = simulator.changed(lambda each: replace(each, detector=Detector(bins=bins)))
    both, alone = simulator.profiles(theta)[0], one.profiles(theta)[0]
    np.testing.assert_array_equal(alone, both[:, part])
    x, rays = counted_observations(one, theta, (1,))
    assert x.shape == (3, 100) and rays < 2e5 * len(theta)
    chosen = choose(one, Tracing(), 0, most=10_000_000)
    rows = compare(one.traced(chosen.tracing), count(one, most=200_000))
    assert chosen.good and all(row.good and row.held > 0 for row in rows)


def test_one_that_reads_nothing_is_refused():
    for reads, bins in (("profiles", (0, 0)), ("image", (0, 40))):
        with pytest.raises(ValueError, match="give at least one profile"):
            Detector(reads=reads, bins=bins)

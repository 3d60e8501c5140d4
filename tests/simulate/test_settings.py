"""Are several observations of one theta joined rightly, and what do they constrain?"""

import numpy as np
import pytest

from raybayes.beamline.derive import with_screen
from raybayes.errors import InputError
from raybayes.simulate.derivatives import information, next_steps
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import JointSimulator, Setting
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.study import read_study

STUDY, BEAMLINE = read_study("ue112")
PRIOR = STUDY.prior
SAMPLE = Simulator(
    BEAMLINE, PRIOR.names, (PRIOR.low, PRIOR.high), STUDY.detector, Tracing(rays=256)
)
SLIT = Simulator(
    with_screen(BEAMLINE, "ES"),
    PRIOR.names[:2],
    (PRIOR.low[:2], PRIOR.high[:2]),
    Detector(bins=(60, 50), bin_width=(0.1, 0.024), photons=2e4),
    Tracing(rays=256),
)
ALONE = JointSimulator.alone(SAMPLE)
FOCUS = "IP.distanceImagePlane"
THREE = JointSimulator(
    PRIOR.names,
    (PRIOR.low, PRIOR.high),
    (Setting(SAMPLE, {}), Setting(SLIT, {}), Setting(SAMPLE, {FOCUS: 100.0})),
)
THETA = np.array([0.005, -0.01, 0.02, 0.5, 0.1, 1204.0])


def test_observations_stand_one_after_the_other():
    profiles, transmission = THREE.profiles(np.stack([THETA, THETA]), None)
    assert profiles.shape == (2, 200 + 110 + 200) and transmission.shape == (2,)
    moved = THETA + np.array([0, 0, 0, 0, 0, 100.0])
    parts = THREE.detectors.parts(profiles)
    np.testing.assert_array_equal(parts[0], SAMPLE.profiles(THETA[None].repeat(2, 0), None)[0])
    np.testing.assert_array_equal(parts[2][:1], SAMPLE.profiles(moved[None], None)[0])
    passed = SLIT.profiles(THETA[None, :2], None)[1]
    assert parts[1].sum(axis=1) == pytest.approx(2 * passed[0], rel=0.02)  # all is seen
    assert transmission[0] == SAMPLE.profiles(THETA[None], None)[1]  # the least of the three


def test_likelihood_is_the_product():
    rng = np.random.default_rng(0)
    x = THREE.detectors.observe(THREE.profiles(THETA[None], None)[0], rng)[0]
    one, two, three = THREE.detectors.parts(x)
    exact = (
        SAMPLE.log_likelihood(one)(THETA[None])
        + SLIT.log_likelihood(two)(THETA[None, :2])
        + SAMPLE.log_likelihood(three)(THETA[None] + np.array([0, 0, 0, 0, 0, 100.0]))
    )
    np.testing.assert_allclose(THREE.log_likelihood(x)(THETA[None]), exact)
    other = THETA[None] * np.array([-1, 1, 1, 1, 1, 1])
    assert THREE.log_likelihood(x)(other) < exact - 50


def test_the_screen_sees_both_pitches_as_one():
    """x = 2 q3 d3 + 2 q1 d1 at the slit: 20 and 40 mm/mrad, in 60 bins of 0.1 mm."""
    centre = (np.arange(60) - 29.5) * 0.1

    def place(theta):
        profile = SLIT.profiles(np.array([theta]), None)[0][0, :60]
        return profile @ centre / profile.sum()

    start = place([0, 0])
    assert abs(place([0.02, 0]) - start) == pytest.approx(0.8, rel=0.01)
    assert abs(place([0, 0.02]) - start) == pytest.approx(0.4, rel=0.01)


def test_steps_add_information():
    alone = information(ALONE, THETA)
    step = np.zeros((2, 6))
    step[1, 5] = 20
    both = information(ALONE, THETA, step)
    assert (both.sd <= alone.sd + 0.01).all() and both.sd[5] < 0.8 * alone.sd[5]
    twice = information(ALONE, THETA, np.zeros((2, 6)))
    np.testing.assert_allclose(twice.fisher, 2 * alone.fisher)


def test_what_to_measure_next():
    steps = next_steps(ALONE, THETA)
    assert {s.name for s in steps} == {"", *PRIOR.names}
    nats = [s.nats for s in steps]
    assert nats == sorted(nats, reverse=True) and min(nats) > 0
    same = next(s for s in steps if not s.name)
    assert same.size == 0 and steps[0].nats > 1.2 * same.nats  # a step constrains more than waiting
    low, high = PRIOR.low, PRIOR.high
    for j, name in enumerate(PRIOR.names):
        size = next(s.size for s in steps if s.name == name)
        assert low[j] <= THETA[j] + size <= high[j]


BAD = {
    "unknown step": (
        lambda: JointSimulator(
            PRIOR.names, (PRIOR.low, PRIOR.high), (Setting(SAMPLE, {"M9.x": 1.0}),)
        ),
        "M9.x",
    ),
    "no element": (lambda: with_screen(BEAMLINE, "M9"), "no element 'M9'"),
    "source": (lambda: with_screen(BEAMLINE, BEAMLINE.source.name), "cannot stand in the source"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()

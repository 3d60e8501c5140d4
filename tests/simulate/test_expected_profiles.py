"""Are the noise-free profiles and images those of counted rays?"""

from dataclasses import replace

import numpy as np
import pytest
from beamlines import SOURCES, element, small

from raybayes.beamline.derive import with_values
from raybayes.errors import InputError
from raybayes.simulate.detector import Detector
from raybayes.simulate.expected import SAMPLED
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.study import read_study

STUDY, BEAMLINE = read_study("ue112")
PRIOR = STUDY.prior
CENTRE = (PRIOR.low + PRIOR.high) / 2
TILTED = CENTRE + 0.25 * (PRIOR.high - PRIOR.low) * np.array([0.4, -0.6, 0.2, 1.0, 0.4, 1.0])


def simulator(**tracing):
    support = (PRIOR.low, PRIOR.high)
    return Simulator(BEAMLINE, PRIOR.names, support, STUDY.detector, Tracing(**tracing), 1)


@pytest.mark.slow
@pytest.mark.parametrize("theta", [CENTRE, TILTED], ids=["nominal", "misaligned"])
def test_splats_agree_with_counted_rays(theta):
    """Small splats as well as counts can tell; the default's own bias is below 2 % of the peak."""
    rays = 8_000_000
    counted, transmission = simulator(mode="counting", rays=rays).profiles(theta[None], 1)
    fine, soft = simulator(rays=1 << 15, splat=0.1).profiles(theta[None], None)
    default, _ = simulator(rays=1 << 14).profiles(theta[None], None)
    assert soft[0] == pytest.approx(transmission[0], rel=0.002)
    for part in (slice(0, 100), slice(100, 200)):
        known = rays * fine[0, part] > 20
        counts, means = (rays * p[0, part][known] for p in (counted, fine))
        assert ((counts - means) ** 2 / means).mean() < 1.5
        np.testing.assert_allclose(default[0, part], fine[0, part], atol=0.02 * fine[0, part].max())


def test_energy_is_carried_as_well_as_sampled():
    """Through the exit slit of UE112: the same profile, with all rays instead of a third."""
    carried, sampled = simulator(rays=8192), simulator(rays=1 << 17)
    assert carried.slit == 2 * (1 + len(carried.edges[carried.edges < 5])) + 1  # y of ES
    vars(sampled)["slit"] = SAMPLED
    one, two = (s.profiles(TILTED[None], None) for s in (carried, sampled))
    assert one[1] == pytest.approx(two[1], rel=3e-3)
    for part in (slice(0, 100), slice(100, 200)):
        np.testing.assert_allclose(
            one[0][0, part], two[0][0, part], atol=0.01 * two[0][0, part].max()
        )


def test_energy_is_sampled_where_no_slit_cuts_the_band():
    """A band that the slit passes whole: as many photons as counted rays say."""
    narrow = with_values(BEAMLINE, {"UE112.energySpread": 0.001, "ES.openingHeight": 0.5})
    whole, counted = (
        replace(simulator(mode=mode, rays=rays), beamline=narrow)
        for mode, rays in (("expected", 512), ("counting", 100_000))
    )
    assert whole.slit == SAMPLED
    transmission = counted.profiles(CENTRE[None])[1]
    assert transmission > 0.99
    assert whole.profiles(CENTRE[None])[1] == pytest.approx(transmission, rel=2e-3)


def test_half_a_kilo_ray_profile_is_smooth():
    """512 Sobol rays with splats: below 1 % of the peak rms, where random rays have 15 %."""
    many = np.tile(TILTED, (32, 1))
    profiles, _ = simulator().profiles(many, 3)
    reference, _ = simulator(rays=32768).profiles(TILTED[None], 4)
    for part in (slice(0, 100), slice(100, 200)):
        error = np.sqrt(((profiles[:, part] - reference[0, part]) ** 2).mean())
        assert error < 0.01 * reference[0, part].max()


def test_a_simulation_depends_on_its_key_alone():
    theta = PRIOR.sample(7, np.random.default_rng(0))
    one = simulator().profiles(theta, (0, 3))[0]
    assert np.array_equal(one, simulator().profiles(theta, (0, 3))[0])
    assert not np.array_equal(one, simulator().profiles(theta, (0, 4))[0])


def test_counting_mode_counts():
    profiles, _ = simulator(mode="counting", rays=5000).profiles(CENTRE[None])
    counts = profiles[0] * 5000
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    assert 100 < counts.sum() < 2 * 5000


def test_a_beam_that_is_not_there_is_an_error():
    bad = Simulator(BEAMLINE, ("M1.totalWidth",), ((1,), (2,)), STUDY.detector)
    with pytest.raises(InputError, match="theta"):
        bad.profiles([[np.inf]])


@pytest.mark.parametrize("mode", ["expected", "counting"])
def test_no_settings_give_no_profiles(mode):
    pitch = Simulator(
        BEAMLINE, ("M1.rotationXerror",), ((-1,), (1,)), STUDY.detector, Tracing(mode=mode)
    )
    profiles, transmission = pitch.profiles(np.empty((0, 1)))
    assert profiles.shape == (0, STUDY.detector.size) and transmission.shape == (0,)
    with pytest.raises(InputError, match=r"must be \[n, 1\]"):
        pitch.profiles(np.empty((0, 2)))


def test_expected_and_counted_agree_where_mirrors_absorb():
    """A coated mirror: both kinds of profile lose the same intensity."""
    coated = {"reflectivityType": 1, "elementSubstrate": "Au", "grazingIncAngle": 5.0}
    beamline = small("Plane Mirror", source_type="Simple Undulator", **coated)
    detector = Detector(bin_width=(0.1, 0.1))
    support = ["O.rotationXerror"], ((-0.01,), (0.01,))
    expected, counted = (
        Simulator(beamline, *support, detector, Tracing(mode=mode, rays=rays)).profiles([[0.0]])
        for mode, rays in (("expected", 1024), ("counting", 1 << 15))
    )
    assert expected[1] == pytest.approx(counted[1], rel=1e-3) and expected[1] < 0.9
    assert expected[0].sum() == pytest.approx(counted[0].sum(), rel=1e-2)


def energies_of_a_file(folder):
    (folder / "lines.dat").write_text("t\n3 99.95 100.05 0.05\n99.95 1\n100 2\n100.05 1\n")
    named = {"photonEnergyDistributionFile": str(folder / "lines.dat")}
    return changed(BEAMLINE, "UE112", energyDistributionType=0, **named)


def changed(beamline, name, **params):
    return beamline.with_params(name, element(name, "", params).params)


def dipole(orientation):
    narrow = {"sourceWidth": 0.1, "horDiv": 0.1, "electronEnergyOrientation": orientation}
    source = {**SOURCES["Dipole"], **narrow}
    return small("Plane Mirror", 1.0, source, "Dipole", distancePreceding=100.0)


UP_TO_ES = BEAMLINE.elements[: BEAMLINE.elements.index(BEAMLINE["ES"]) + 1]
STOPPED = {"centralBeamstop": 1, "stopWidth": 20.0, "stopHeight": 0.04}
HARD = {f"{name}Distribution": 0 for name in ("sourceWidth", "sourceHeight", "horDiv", "verDiv")}
HARD |= {"sourceWidth": 0.3, "sourceHeight": 0.1, "horDiv": 0.4, "verDiv": 0.2, "sourceDepth": 1.0}
SAME = {  # a beamline
    "a source with hard edges": lambda _: small(
        "Plane Mirror", 1.0, {**SOURCES["Point Source"], **HARD}
    ),
    "a dipole turning left": lambda _: dipole(1),
    "a dipole turning right": lambda _: dipole(0),
    "ends in a slit": lambda _: replace(BEAMLINE, elements=UP_TO_ES),
    "energies of a file": energies_of_a_file,
    "beamstop in the exit slit": lambda _: changed(BEAMLINE, "ES", **STOPPED),
    "frame in the exit slit's opening": lambda _: changed(BEAMLINE, "ES", totalHeight=0.05),
    "frame as high as the opening": lambda _: changed(BEAMLINE, "ES", totalHeight=0.1),
}


@pytest.mark.parametrize("case", SAME)
def test_expected_profiles_are_those_of_counted_rays(case, tmp_path):
    beamline = SAME[case](tmp_path)
    detector = Detector(bins=(40, 40), bin_width=(0.02, 0.008), psf=(0.02, 0.008))
    rays = {"expected": 1 << 13, "counting": 2_000_000}
    (expected, passed), (counted, arrived) = (
        Simulator(beamline, [], ((), ()), detector, Tracing(mode=m, rays=n), 1).profiles([[]])
        for m, n in rays.items()
    )
    assert passed == pytest.approx(arrived, rel=0.02)
    for part in (slice(40), slice(40, None)):
        peak = counted[0, part].max()
        noise = np.sqrt(peak / rays["counting"])
        np.testing.assert_allclose(
            expected[0, part], counted[0, part], rtol=0, atol=0.02 * peak + 4 * noise
        )


def test_a_corner_that_cannot_be_built_fails_alone():
    """No diffracted beam at one end of the prior; the middle and the other end are built."""
    grating = small("Plane Grating", source_type="Simple Undulator")
    names, dense = ["O.lineDensity"], np.array([20_000.0])
    one = Simulator(grating, names, (np.array([300.0]), dense), Detector())
    assert one.profiles([[400.0]])[1] > 0
    with pytest.raises(InputError, match="no diffracted beam"):
        one.profiles([dense])
    with pytest.raises(InputError, match="no diffracted beam"):
        Simulator(grating, names, (dense, dense + 1), Detector()).profiles([dense])


def test_expected_profiles_have_one_order():
    grating = small("Plane Grating", source_type="Simple Undulator", additionalOrder=1)
    with pytest.raises(InputError, match="additionalOrder"):
        Simulator(grating, [], ((), ()), Detector()).profiles(np.empty((1, 0)))


IMAGE = STUDY.detector.model_copy(
    update={"reads": "image", "bins": (40, 40), "bin_width": (0.025, 0.00625)}
)
YAW = PRIOR.names.index("M4.rotationYerror")


def imager(detector=IMAGE, **tracing):
    support = (PRIOR.low, PRIOR.high)
    return Simulator(BEAMLINE, PRIOR.names, support, detector, Tracing(**tracing), 1)


@pytest.mark.slow
@pytest.mark.parametrize("theta", [CENTRE, TILTED], ids=["nominal", "misaligned"])
def test_image_agrees_with_counted_rays(theta):
    rays = 2_000_000
    counted, _ = imager(mode="counting", rays=rays).profiles(theta[None], 1)
    expected, _ = imager(rays=8192).profiles(theta[None], 1)
    noise = np.sqrt(counted / rays)
    assert (np.abs(counted - expected) < 0.02 * counted.max() + 4 * noise).all()


def test_an_images_sums_are_the_profiles():
    same_bins = IMAGE.model_copy(update={"reads": "profiles"})
    image, _ = imager().profiles(TILTED[None], None)
    profiles, _ = imager(same_bins).profiles(TILTED[None], None)
    np.testing.assert_allclose(IMAGE.profiles(image), profiles, atol=1e-3 * profiles.max())


@pytest.mark.parametrize("detector, modes", [(STUDY.detector, 2), (IMAGE, 1)])
def test_an_image_constrains_the_sign_of_the_yaw(detector, modes):
    """Exact posterior over M4's yaw alone: two modes from two profiles, one from an image."""
    simulator, yaws = imager(detector), np.linspace(-2, 2, 161)
    theta = np.tile(CENTRE, (161, 1))
    theta[:, YAW] = yaws
    profiles, _ = simulator.profiles(theta, None)
    x = detector.observe(profiles[np.abs(yaws - 1).argmin()], np.random.default_rng(0))
    log_p = detector.log_likelihood(x, profiles)
    p = np.exp(log_p - log_p.max())
    assert [((p[yaws > 0]).sum() / p.sum() > 0.02), (p[yaws < 0]).sum() / p.sum() > 0.02] == [
        True, modes == 2,
    ]  # fmt: skip

"""The noise-free profile against counted rays; the detector's likelihood against its own draws."""

from dataclasses import replace

import numpy as np
import pytest
from beamlines import POINT, SOURCES, element, small
from pydantic import ValidationError
from scipy.special import logsumexp
from scipy.stats import norm, poisson, truncnorm

from raybayes.beamline.derive import with_values
from raybayes.errors import InputError
from raybayes.simulate.detector import Detector
from raybayes.simulate.expected import SAMPLED
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.simulate.splat import NARROW, carry_energy, deposit, deposit_image, truncate
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
    assert carried.slit == 3  # y of the second stop, ES
    vars(sampled)["slit"] = SAMPLED
    one, two = (s.profiles(TILTED[None], None) for s in (carried, sampled))
    assert one[1] == pytest.approx(two[1], rel=2e-3)
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


@pytest.mark.parametrize("half", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("middle", [0.0, 1.0, -2.5])
def test_truncated_moments(half, middle):
    """Against scipy's truncated normal, and against draws for the other component."""
    cov = np.array([[1.3, 0.6], [0.6, 0.9]])
    mean, moved = np.array([middle, 0.2]), cov.copy()
    mass = truncate(mean, moved, 0, half)
    sd = np.sqrt(cov[0, 0])
    exact = truncnorm((-half - middle) / sd, (half - middle) / sd, loc=middle, scale=sd)
    assert mass == pytest.approx(norm.cdf(half, middle, sd) - norm.cdf(-half, middle, sd))
    assert mean[0] == pytest.approx(exact.mean(), abs=1e-9)
    assert moved[0, 0] == pytest.approx(exact.var(), abs=1e-9)
    # The second component follows by regression on the first, exactly.
    slope = cov[1, 0] / cov[0, 0]
    assert mean[1] == pytest.approx(0.2 + slope * (exact.mean() - middle), abs=1e-9)
    assert moved[1, 1] == pytest.approx(0.9 - slope**2 * (cov[0, 0] - exact.var()), abs=1e-9)


@pytest.mark.parametrize("box", [0.0, 0.99 * NARROW * 0.31, 0.3, 1.5])
def test_deposit_is_the_integral_of_a_blurred_gaussian(box):
    """Against the Gaussian's integral, averaged over the box by a sum of many places."""
    out, sd, places = np.zeros(40), 0.31, 0.13 + box * np.linspace(-1, 1, 2001)
    deposit(out, 0.13, sd, box, 0.1, 2.0, np.empty(41))
    edges = (np.arange(41) - 20) * 0.1
    exact = 2 * np.diff(norm.cdf(edges[:, None], places, sd), axis=0).mean(axis=1)
    np.testing.assert_allclose(out, exact, atol=2e-3 * exact.max())


@pytest.mark.parametrize("band", [(-50.0, 50.0), (-0.5, 30.0), (2.0, 3.0)])
def test_carried_energy(band):
    """Against draws: uniform energy in the band, Gaussian places, those that pass the slit."""
    rng = np.random.default_rng(0)
    mean, slope = np.array([0.3, 0.2]), np.array([1.0, -0.4])
    cov = np.array([[0.01, 0.006], [0.006, 0.02]])
    places = rng.multivariate_normal(mean, cov, 400_000)
    places += rng.uniform(*band, (len(places), 1)) * slope
    passed = places[np.abs(places[:, 0]) < 2]
    box = slope.copy()
    share = carry_energy(mean, cov, box, 0, 2.0, *band)
    assert share == pytest.approx(len(passed) / len(places), rel=0.03, abs=2e-3)
    if share > 0:
        assert mean == pytest.approx(passed.mean(axis=0), abs=0.06)
        assert cov[1, 1] + box[1] ** 2 / 3 == pytest.approx(passed[:, 1].var(), rel=0.06)
        assert cov[0, 0] == 0 and box[0] <= 2


def brute_force(x, mean, sigma):
    k = np.arange(0, int(mean + 40 * np.sqrt(mean) + abs(x) + 200))
    return logsumexp(poisson.logpmf(k, mean) + norm.logpdf(x, k, sigma))


@pytest.mark.parametrize("sigma", [0.05, 0.7, 5.0, 40.0])
@pytest.mark.parametrize("mean", [1e-9, 0.3, 10.0, 400.0, 1e5])
def test_likelihood_by_brute_force(mean, sigma):
    detector = Detector(bins=(1, 1), photons=1.0, background=mean, read_noise=sigma)
    profile = np.zeros(2)
    for x in (mean - 3 * sigma, mean, mean + 6 * np.sqrt(mean + sigma**2), -2 * sigma):
        exact = 2 * brute_force(x, mean, sigma)
        assert detector.log_likelihood([x, x], profile) == pytest.approx(exact, rel=1e-9, abs=1e-9)
    assert detector.log_likelihood([np.inf, x], profile) == -np.inf


def test_likelihood_without_read_noise_is_poisson():
    detector = Detector(bins=(2, 1), photons=10.0, background=1.0, read_noise=0.0)
    profile = np.array([0.2, 0.5, 0.0])
    exact = poisson.logpmf([3, 7, 0], [3.0, 6.0, 1.0]).sum()
    assert detector.log_likelihood([3, 7, 0], profile) == pytest.approx(exact)
    assert detector.log_likelihood([3.5, 7, 0], profile) == -np.inf


def test_readings_have_the_stated_moments():
    detector = Detector(bins=(1, 1), photons=1e3, background=2.0, read_noise=4.0)
    x = detector.observe(np.tile([0.05, 0.2], (40_000, 1)), np.random.default_rng(0))
    mean = np.array([52.0, 202.0])
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=5 * np.sqrt(218 / 40_000))
    np.testing.assert_allclose(x.var(axis=0), mean + 16, rtol=0.04)


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
SAME = {  # a beamline
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


WRONG = {
    "no bins": {"bins": (0, 100)},
    "bins of no width": {"bin_width": (0.0, 0.1)},
    "no number": {"psf": (float("nan"), 0.1)},
    "endless light": {"photons": float("inf")},
    "more than a number holds": {"photons": 1e16},
    "impossible counts": {"background": 0.0, "read_noise": 0.0},
}


@pytest.mark.parametrize("case", WRONG)
def test_detectors_that_cannot_be(case):
    with pytest.raises(ValidationError):
        Detector(**WRONG[case])


def test_rounding_below_zero_is_no_light():
    detector = Detector(bins=(2, 1), background=0.0, read_noise=1.0)
    assert np.isfinite(detector.observe([-1e-18, 0.1, 0.1], np.random.default_rng(0))).all()


def test_expected_profiles_have_one_order():
    grating = small("Plane Grating", source_type="Simple Undulator", additionalOrder=1)
    with pytest.raises(InputError, match="additionalOrder"):
        Simulator(grating, [], ((), ()), Detector()).profiles(np.empty((1, 0)))


def test_expected_profiles_need_a_gaussian_source():
    simulator = Simulator(small("Plane Mirror", source=POINT), [], ((), ()), Detector())
    with pytest.raises(InputError, match='trace in mode "counting"'):
        simulator.profiles(np.empty((1, 0)))


# --- images ------------------------------------------------------------------------------------

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


def test_a_slanted_splat_keeps_its_covariance():
    image, pitch = np.zeros((400, 300)), np.array([0.01, 0.01])
    deposit_image(image, (0.1, -0.2), (0.04, 0.03, 0.05), (0.02, 0.05), pitch, 2.0, np.empty(401))
    x, y = ((np.arange(n) + 0.5 - n / 2) * 0.01 for n in (300, 400))
    y, x = np.meshgrid(y, x, indexing="ij")
    mean = [(image * a).sum() / image.sum() for a in (x, y)]
    moments = [(image * (a - mean[i]) * (b - mean[j])).sum() / image.sum()
               for a, i, b, j in [(x, 0, x, 0), (x, 0, y, 1), (y, 1, y, 1)]]  # fmt: skip
    assert image.sum() == pytest.approx(2, rel=3e-4) and mean == pytest.approx([0.1, -0.2])
    exact = [0.04 + 0.02**2 / 3, 0.03 + 0.02 * 0.05 / 3, 0.05 + 0.05**2 / 3]
    assert moments == pytest.approx(exact, rel=3e-3)


@pytest.mark.parametrize("detector, modes", [(STUDY.detector, 2), (IMAGE, 1)])
def test_an_image_tells_the_sign_of_the_yaw(detector, modes):
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

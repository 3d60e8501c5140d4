"""Several observations of one theta: their shapes, their likelihood, and what they tell."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_run import TINY, command

from raybayes.beamline.derive import with_screen
from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_settings
from raybayes.simulate.derivatives import information, next_steps
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import JointSimulator, Setting
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.plan import DETERMINE, Plan
from raybayes.study.run import Run, open_posterior, open_run
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
    assert same.size == 0 and steps[0].nats > 1.2 * same.nats  # a step tells more than waiting
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


PLAIN = """
name = "plain"
beamline = "ue112_pgm1.rml"
simulations = 100
shard = 50
[parameters]
"M1.rotationXerror" = [-0.025, 0.025]
"M4.rotationXerror" = [-0.06, 0.06]
"IP.distanceImagePlane" = [1180, 1220]
[detector]
photons = 2e4
[tracing]
rays = 64
"""


def read(tmp_path, more="", text=PLAIN):
    path = tmp_path / "s.toml"
    path.write_text(text + more)
    return Plan.read(path)


def test_one_setting_alone_is_the_plain_study(tmp_path):
    """Simulations and readings are the same bit by bit; the store is another study's."""
    found = []
    for more in ("", "[[settings]]"):
        plan, beamline = read(tmp_path, more)
        campaign = plan.campaign(beamline, tmp_path / f"out{more}")
        campaign.run([0])
        arrays = campaign.store.read(50)
        x = plan.detectors.observe(arrays["profile"], np.random.default_rng(1))
        found.append((plan.identity(beamline, *DETERMINE), {**arrays, "x": x}))
    (plain, one), (other, two) = found
    assert plain != other and one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


HASHES = {
    "ue112": "a8c694ba8c3bd9b3",
    "ue112-image": "f1c9366a8f15903c",
    "ue112-wellposed": "0201b1f6431588d0",
    "ue112-rigid-m4": "a33f5313c07815fb",
}


@pytest.mark.parametrize("name", HASHES)
def test_studies_without_settings_keep_their_hash(name):
    plan, beamline = Plan.read(name)
    assert plan.identity(beamline, *DETERMINE) == HASHES[name]


THREE_SETTINGS = """
[[settings]]
[[settings]]
screen = "ES"
detector = {bins = [60, 50], pitch = [0.1, 0.024]}
[[settings]]
steps = {"IP.distanceImagePlane" = 100}
"""


def test_settings_of_a_study(tmp_path):
    plan, beamline = read(tmp_path, THREE_SETTINGS)
    several = plan.build_engine(beamline)
    assert several.detectors == plan.detectors and several.detectors.size == 200 + 110 + 200
    assert several.settings[1].simulator.names == ("M1.rotationXerror",)
    assert several.detectors.each[1].photons == 2e4  # what is left out is as in [detector]
    assert several.settings[2].simulator.support[0][-1] == 1280
    names = [target.name for target in plan.targets]
    assert names == [
        "setting 1: as it stands",
        "setting 2: screen at ES",
        "setting 3: IP.distanceImagePlane +100",
    ]
    assert [target.size for target in plan.targets] == [200, 110, 200]
    again = Plan(**plan.model_dump(mode="json"))
    assert again.identity(beamline) == plan.identity(beamline)


WRONG = {
    'screen = "M9"': r"key 'settings.1': .*there is no element 'M9'",
    'screen = "IP"': "key 'settings.1': screen: IP is the last element",
    'screen = "AP"': "no parameter of the study stands before AP",
    'screen = "UE112"': "a screen cannot stand in the source 'UE112'",
    'steps = {"M9.rotationXerror" = 1}': "steps: M9.rotationXerror is no parameter of the study",
    'screen = "ES"\nsteps = {"M4.rotationXerror" = 0.01}': "does not stand before the screen at ES",
    'steps = {"M4.rotationXerror" = "far"}': "settings.1.steps.M4.rotationXerror",
    "detector = {colour = 1}": "settings.1.detector.colour",
    "detector = {pitch = [-1]}": "settings.1.detector.pitch",
    "place = 1": "settings.1.place",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_are_named(wrong, tmp_path):
    with pytest.raises(InputError, match=WRONG[wrong]):
        read(tmp_path, f"[[settings]]\n[[settings]]\n{wrong}\n")


def test_settings_need_our_tracer_and_something_to_set(tmp_path):
    engine = '[engine]\nkind = "function"\nfunction = "math:cos"\n[[settings]]\n'
    with pytest.raises(InputError, match="engine 'function' simulates one setting"):
        read(tmp_path, engine)
    with pytest.raises(InputError, match="key 'settings'"):
        read(tmp_path, text=PLAIN.replace('name = "plain"', 'name = "plain"\nsettings = []'))


LISTS = [Target("profiles", (np.arange(5.0), np.arange(4.0)), 0, f"setting {i}") for i in (1, 2)]


def test_files_of_each_setting(tmp_path):
    """One list for all, one for each, or two profiles for each: the same observation."""
    x = np.arange(14.0) + 1
    names = {"all": [14], "each": [7, 14], "profiles": [4, 7, 11, 14]}
    for name, ends in names.items():
        files = []
        for i, part in enumerate(np.split(x, ends[:-1])):
            files.append(tmp_path / f"{name}{i}.txt")
            np.savetxt(files[-1], part)
        found = read_settings(files, LISTS)
        np.testing.assert_array_equal(found.x, x)
        assert found.done[0].startswith("setting 1: Read ") and "Taken as" in found.done[1]
    number = r"3 files .* give one file for each in this order, or 4 with two profiles for each"
    with pytest.raises(InputError, match=number):
        read_settings(files[:3], LISTS)
    with pytest.raises(InputError, match=r"shape \(4,\); .* a list of 7 \+ 7 counts"):
        read_settings(files[:1], LISTS)


def test_a_setting_may_read_its_files_in_its_own_way(tmp_path):
    """Its own gain; a caller's change is of all. The hash does not follow, the dark frame does."""
    plain = PLAIN + "\n[observation]\ngain = 2\n[[settings]]\n[[settings]]\n"
    path = tmp_path / "x.toml"
    path.write_text(plain + 'observation = {gain = 3, dark = "d.tif"}\n')
    study, beamline = read_study(path)
    assert [r.gain for r in study.readings({})] == [2, 3]
    assert [r.dark for r in study.readings({})] == [None, str(tmp_path / "d.tif")]
    assert [r.gain for r in study.readings({"gain": 5})] == [5, 5]
    again = type(study)(**study.model_dump(mode="json"))
    assert again == study
    path.write_text(plain)
    assert read_study(path)[0].identity(beamline) == study.identity(beamline)
    path.write_text(plain + "observation = {gain = -1}\n")
    with pytest.raises(InputError, match=r"settings.1.*gain"):
        read_study(path)
    x = np.arange(14.0) + 1
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file, part in zip(files, np.split(x, 2), strict=True):
        np.savetxt(file, part)
    found = read_settings(files, LISTS, [Reading(gain=2), Reading(gain=3)])
    np.testing.assert_array_equal(found.x, np.r_[2 * x[:7], 3 * x[7:]])
    np.savetxt(files[0], x)
    with pytest.raises(InputError, match=r"a.txt: .*different ways.* setting 1; setting 2"):
        read_settings(files[:1], LISTS, [Reading(gain=2), Reading(gain=3)])


TWO = """
[[settings]]
[[settings]]
screen = "M4"
detector = {reads = "image", bins = [20, 24], pitch = [0.4, 0.3]}
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A finished run of profiles and an image, and files of what it may read."""
    folder = tmp_path_factory.mktemp("two")
    study, out = folder / "two.toml", folder / "out"
    one_more = '[parameters]\n"M1.rotationXerror" = [-0.025, 0.025]'
    study.write_text(TINY.replace("[parameters]", one_more) + TWO)
    result = command("run", study, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    run = open_run(out)
    x = run.observe(np.array([[0.01, 0.02, 0.1]]), np.random.default_rng(1))[0]
    assert x.size == run.study.detectors.size == 200 + 480
    files = [folder / "a.txt", folder / "b.txt"]
    for path, part in zip(files, run.study.detectors.parts(x), strict=True):
        np.savetxt(path, part)
    return run, x, files


@pytest.mark.slow
def test_the_page_of_two_settings_draws(two, browser, tmp_path):
    """From a file for each setting, in one file, or with two profiles for the first."""
    run, x, files = two
    page = browser.new_page()
    page.goto(f"file://{run.folder / 'report.html'}")
    page.set_input_files("#flow-file", files)
    page.wait_for_selector("#flow-results:not([hidden])")
    draws = np.array(page.evaluate("raybayes.last"))
    again = open_posterior(run).sample(x, 4000)
    sd = again.std(axis=0)
    assert (np.abs(draws.mean(0) - again.mean(0)) < 0.15 * sd).all()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.15)
    np.savetxt(tmp_path / "all.txt", x)
    for name, part in zip("hv", np.split(x[:200], 2), strict=True):
        np.savetxt(tmp_path / f"{name}.txt", part)
    halves = [tmp_path / "h.txt", tmp_path / "v.txt", files[1]]
    for way in ([tmp_path / "all.txt"], halves):
        page.evaluate("raybayes.last = null")
        page.set_input_files("#flow-file", way)
        page.wait_for_function("raybayes.last !== null")
        np.testing.assert_allclose(page.evaluate("raybayes.last"), draws, rtol=1e-4, atol=1e-6)
    page.set_input_files("#flow-file", files[1:])
    page.wait_for_selector("#flow-message.bad")
    said = page.inner_text("#flow-message")
    assert "reads 680 (200 at setting 1: as it stands, then 480 at setting 2: screen at M4" in said
    page.close()


@pytest.mark.slow
def test_from_a_study_of_two_settings_to_its_files(two, tmp_path):
    """Profiles and an image: run, page, infer, refine; the NeXus file is valid."""
    run, _, files = two
    out = run.folder
    page = (out / "report.html").read_text()
    assert "What the measurement tells" in page and "This page holds the trained network" in page
    assert "the same settings again" in page and (out / "image.png").exists()
    few = ["-n", 1000, "--moves", 0]
    for word, folder, more in (("infer", "i", []), ("refine", "r", few)):
        result = command(word, out, *files, *more, "--to", tmp_path / folder, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["done"][-1].startswith("setting 2: screen at M4: Taken as they stand")
        with h5py.File(found["written"]["nexus"]) as file:
            entry = file["entry"]
            assert entry.attrs["default"] == "setting_1_horizontal"
            assert entry["setting_2_image/measured"].shape == (24, 20)
            description = entry["instrument/setting_2_detector/description"][()].decode()
            assert description.endswith("setting 2: screen at M4")
        nxcheck = Path(sys.executable).parent / "nxcheck"
        if nxcheck.exists():
            words = [nxcheck, found["written"]["nexus"]]
            said = subprocess.run(words, capture_output=True, text=True, check=True)
            text = said.stdout + said.stderr
            assert "number of warnings: 0" in text and "number of errors: 0" in text, text
    wrong = command("infer", out, *files, *files)
    assert wrong.exit_code == 2 and "give one file for each in this order" in wrong.stderr


@pytest.mark.slow
def test_the_shipped_study_tells_m1_and_m3_apart(tmp_path):
    """A short run: M1 pitch is known to a tenth of its prior, where the profiles leave 70 %."""
    study, beamline = read_study("ue112-two-settings")
    training = study.training.model_copy(update={"epochs": 4})
    small = {"simulations": 4000, "validation": 200, "training": training}
    run = Run(study.model_copy(update=small), beamline, tmp_path)
    posterior, _ = run.train(run.simulate(), lambda state: None)
    sd_ratio = dict(zip(study.prior.names, run.check(posterior).sd_ratio, strict=True))
    assert sd_ratio["M1.rotationXerror"] < 0.15 and sd_ratio["M3.rotationXerror"] < 0.7

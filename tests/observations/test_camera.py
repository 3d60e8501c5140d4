"""Does a camera's noise come out of frames that were made with it?"""

import numpy as np
import pytest
from typer.testing import CliRunner

from raybayes.cli import app
from raybayes.errors import InputError
from raybayes.observations.camera import camera
from raybayes.workflow.camera import camera_of_files


def made(rng, gain, read_noise, background, peak=400.0, width=30.0, size=200):
    """A dark frame and one of a beam: Poisson photons, a gain, an offset and read noise."""
    y, x = np.mgrid[:size, :size] - size / 2

    def frame(light):
        noise = read_noise * rng.standard_normal((size, size))
        return gain * rng.poisson(light) + background + noise

    beam = peak * np.exp(-((x / width) ** 2 + (y / (0.6 * width)) ** 2) / 2)
    return frame(np.zeros((size, size))), frame(beam)


CAMERAS = [(3.0, 5.0, 20.0, 400.0), (0.1, 0.5, 100.0, 4000.0), (1.0, 2.0, 10.0, 100.0)]


@pytest.mark.parametrize("gain, read_noise, background, peak", CAMERAS)
def test_what_it_was_made_with(gain, read_noise, background, peak):
    """Of 12 cameras: near the truth, with errors that are those they have."""
    pulls = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        dark, frame = made(rng, gain, read_noise, background, peak)
        found = camera(dark, [frame], rng)
        assert found.gain == pytest.approx(gain, rel=0.2)
        assert found.read_noise == pytest.approx(read_noise, rel=0.03)
        assert found.background == pytest.approx(background, abs=0.1 * read_noise)
        pulls.append((found.gain - gain) / found.gain_error)
    assert abs(np.mean(pulls)) < 1.0 and 0.4 < np.std(pulls) < 1.8


def test_more_frames_know_better():
    rng = np.random.default_rng(0)
    dark, one = made(rng, 3.0, 5.0, 20.0)
    others = [made(rng, 3.0, 5.0, 20.0)[1] for _ in range(7)]
    alone, many = camera(dark, [one], rng), camera(dark, [one, *others], rng)
    assert many.gain_error < 0.5 * alone.gain_error
    assert many.gain == pytest.approx(3.0, abs=4 * many.gain_error)


@pytest.mark.parametrize("change, word", [
    (lambda frame: frame[:-1], "give whole frames of one camera"),
    (lambda frame: np.round(frame * 0 + np.mean(frame), 1), "too few pixels|does not grow"),
])  # fmt: skip
def test_frames_that_tell_nothing(change, word):
    rng = np.random.default_rng(0)
    dark, frame = made(rng, 3.0, 5.0, 20.0)
    with pytest.raises(InputError, match=word):
        camera(dark, [change(frame)], rng)


def test_a_command(tmp_path):
    rng = np.random.default_rng(1)
    for name, frame in zip(("dark.npy", "frame.npy"), made(rng, 3.0, 5.0, 20.0), strict=True):
        np.save(tmp_path / name, frame)
    files = [str(tmp_path / name) for name in ("dark.npy", "frame.npy")]
    result = CliRunner().invoke(app, ["camera", *files])
    assert result.exit_code == 0, result.output
    keys = dict(line.split(" = ") for line in result.output.splitlines() if " = " in line)
    assert float(keys["gain"].split()[0]) == pytest.approx(1 / 3, rel=0.15)
    assert float(keys["read_noise"].split()[0]) == pytest.approx(5 / 3, rel=0.15)
    result = CliRunner().invoke(app, ["camera", *files[::-1]])
    assert result.exit_code == 2


def test_pixels_that_tell_no_noise(tmp_path):
    """Saturated ones have none, and mended ones another."""
    dark, frame = made(np.random.default_rng(1), 3.0, 5.0, 20.0)
    np.save(tmp_path / "dark.npy", dark)
    over, gap = np.minimum(frame, 800), np.where(frame > 1000, 9.91e37, frame)
    for name, wrong, word in (("over", over, "saturated"), ("gap", gap, "no readings")):
        np.save(tmp_path / f"{name}.npy", wrong)
        with pytest.raises(InputError, match=word):
            camera_of_files(tmp_path / "dark.npy", [tmp_path / f"{name}.npy"])


def test_what_was_read_is_said(tmp_path):
    frames = np.stack([made(np.random.default_rng(1), 3.0, 5.0, 20.0)[1]] * 2)
    dark, _ = made(np.random.default_rng(1), 3.0, 5.0, 20.0)
    np.save(tmp_path / "dark.npy", dark)
    np.save(tmp_path / "frames.npy", frames)
    found = camera_of_files(tmp_path / "dark.npy", [tmp_path / "frames.npy"])
    assert "frames.npy: Holds 2 frames; number 1 is read" in found["done"][0]

"""Are readings that are none told from readings?"""

import numpy as np
import pytest
from targets import IMAGE, PROFILES, beam

from raybayes.errors import InputError
from raybayes.observations import Reading, read_observation
from raybayes.observations.masks import ceiling_of, filled, hidden_light, summed

SIZE = {"pixel_size": 0.002}


def image(folder, pixels, target=IMAGE, **options):
    np.save(folder / "x.npy", pixels)
    return read_observation([folder / "x.npy"], target, Reading(**SIZE, **options), folder)


def normal(peak, seed=0, shape=(200, 300)):
    u, v = np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[0]))
    expected = peak * np.exp(-((u / 0.3) ** 2) - (v / 0.4) ** 2)
    return np.random.default_rng(seed).poisson(expected).astype(float)


@pytest.mark.parametrize("peak", [6, 40, 250, 4000, 60_000])
@pytest.mark.parametrize("seed", range(4))
def test_a_normal_beam_has_no_plateau(peak, seed):
    """Down to few counts, where many pixels share each value; also scaled, also without noise."""
    pixels = normal(peak, seed)
    assert ceiling_of(pixels) == np.inf and ceiling_of(pixels * 0.37) == np.inf
    smooth = np.round(peak * np.exp(-(np.linspace(-2, 2, 1001) ** 2)))
    assert ceiling_of(smooth) == np.inf


@pytest.mark.parametrize("peak, top", [(6000, 4095), (300, 255), (1500, 1023), (9e4, 65535)])
def test_a_plateau_is_where_the_camera_stops(peak, top):
    pixels = np.minimum(normal(peak), top)
    assert ceiling_of(pixels) == top
    assert ceiling_of(16 * pixels) == 16 * top  # shifted, as many cameras write 12 bits


def test_a_plateau_is_refused(tmp_path):
    pixels = np.minimum(2 * beam(), 3000).astype(np.uint16)
    with pytest.raises(InputError, match=r"saturated \(at 3000\)"):
        image(tmp_path, pixels)
    assert image(tmp_path, pixels, saturation=4000.0).x.sum() > 0  # the user knows better


@pytest.mark.parametrize("dtype, code", [("u4", 2**32 - 1), ("u4", 2**32 - 2), ("i4", -1)])
def test_codes_of_detectors(dtype, code, tmp_path):
    """Single pixels get their neighbours' mean; a gap beside the beam does not matter."""
    clean = beam().astype(dtype)
    pixels = clean.copy()
    pixels[20, 33] = code
    found, whole = (image(tmp_path, each) for each in (pixels, clean))
    np.testing.assert_allclose(found.x, whole.x, rtol=0.01, atol=5)
    assert any("1 pixels hold" in line for line in found.done)
    assert any("got the mean of their neighbours" in line for line in found.done)
    dark = np.where(np.arange(60) >= 56, code, clean)
    assert image(tmp_path, dark).x == pytest.approx(whole.x)


def test_subtracted_images_have_no_codes(tmp_path):
    """-1 is a reading where there is -17, too."""
    pixels = beam().astype(np.int32) - 20
    assert "masked" not in " ".join(image(tmp_path, pixels).done)


def test_a_gap_in_the_beam_is_refused(tmp_path):
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 34:37] = 1
    np.save(tmp_path / "mask.npy", mask)
    for target, words in ((IMAGE, "8 of the study's 24 pixels"), (PROFILES, "horizontal bins")):
        with pytest.raises(InputError, match=words):
            image(tmp_path, beam(), target, mask="mask.npy")
    np.save(tmp_path / "mask.npy", mask[:-1])
    with pytest.raises(InputError, match="give one of the same camera"):
        image(tmp_path, beam(), mask="mask.npy")
    np.save(tmp_path / "mask.npy", np.ones_like(mask))
    with pytest.raises(InputError, match="all is masked: there is no beam"):
        image(tmp_path, beam(), mask="mask.npy")


def test_filled():
    values = np.add.outer(np.arange(9.0), np.arange(9.0))
    bad = np.zeros(values.shape, bool)
    bad[4, 4] = bad[:3, :3] = True
    found, left, told = filled(np.where(bad, 1e9, values), bad)
    assert found[4, 4] == pytest.approx(values[4, 4])
    assert left[:2, :2].all() and not left[4, 4] and (found[left] == 0).all()
    assert len(told) == 2
    line = np.zeros(values.shape, bool)
    line[:, 5] = True  # a dead column: its middle has six neighbours
    found, left, _ = filled(np.where(line, 0, values), line)
    np.testing.assert_allclose(found[1:-1, 5], values[1:-1, 5])


def test_hidden_light():
    """By the nearest readings of a gap: at least what is there, and little where it is dark."""
    values, gap = normal(4000), np.zeros((200, 300), bool)
    gap[80:100, 100:105] = True
    hidden = hidden_light(values, gap)
    assert (hidden[~gap] == 0).all() and hidden[gap].sum() > 0.9 * values[gap].sum()
    beside = np.zeros(gap.shape, bool)
    beside[:, 295:] = True
    assert hidden_light(values, beside).sum() < 1e-3 * values.sum()
    sums, unknown = summed(values, gap | beside, 0)
    assert np.flatnonzero(unknown).tolist() == list(range(100, 105))
    read = ~(gap | beside).any(axis=0)
    np.testing.assert_array_equal(sums[read], values.sum(axis=0)[read])

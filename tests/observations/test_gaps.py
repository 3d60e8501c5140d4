"""Do bins without a reading become NaN, those alone, and only where the study knows such data?"""

from dataclasses import replace

import numpy as np
import pytest
from targets import IMAGE, PROFILES, beam, edges

from raybayes.errors import InputError
from raybayes.observations import Reading, read_observation

FINE = edges(10, 0.01), edges(8, 0.005)


def opened(target):
    return replace(target, gaps=0.5)


def read(folder, values, target, **options):
    np.save(folder / "x.npy", values)
    return read_observation([folder / "x.npy"], target, Reading(**options), folder)


def gap(columns, folder):
    mask = np.zeros((40, 60), np.uint8)
    mask[:, columns] = 1
    np.save(folder / "mask.npy", mask)
    return {"pixel_size": 0.002, "mask": "mask.npy"}


def test_a_gap_in_an_image_of_bins(tmp_path):
    """Its columns 34 to 36 are 8 to 14 um right of the middle: in the study's fourth and fifth."""
    whole = read(tmp_path, beam(), opened(IMAGE), pixel_size=0.002)
    found = read(tmp_path, beam(), opened(IMAGE), **gap(slice(34, 37), tmp_path))
    image, full = (each.x.reshape(4, 6) for each in (found, whole))
    assert np.isnan(image[:, 3:5]).all() and np.isfinite(image[:, [0, 1, 2, 5]]).all()
    np.testing.assert_array_equal(image[:, [0, 1, 2, 5]], full[:, [0, 1, 2, 5]])
    assert "8 of the study's 24 pixels have no reading" in " ".join(found.done)


def test_a_dead_module_in_the_sums_of_an_image(tmp_path):
    """A gap over some rows alone: the columns that it cuts, and those rows, are unknown."""
    mask = np.zeros((40, 60), np.uint8)
    mask[18:23, 30:38] = 1
    np.save(tmp_path / "mask.npy", mask)
    options = {"pixel_size": 0.002, "mask": "mask.npy"}
    found = read(tmp_path, beam(), opened(PROFILES), **options)
    whole = read(tmp_path, beam(), opened(PROFILES), pixel_size=0.002)
    unknown = np.isnan(found.x)
    # columns 30 to 37: 0 to 16 um; rows 18 to 22 from the top: 4 um above to 6 um below.
    assert np.flatnonzero(unknown[:10]).tolist() == [5, 6]
    assert np.flatnonzero(unknown[10:]).tolist() == [2, 3, 4]
    np.testing.assert_array_equal(found.x[~unknown], whole.x[~unknown])


def test_a_gap_beside_the_beam_is_none(tmp_path):
    dark = beam() - 3  # so far from the beam no light at all
    found = read(tmp_path, dark, opened(PROFILES), **gap(slice(0, 3), tmp_path))
    assert np.isfinite(found.x).all()


def test_too_many_are_refused(tmp_path):
    options = gap(slice(20, 45), tmp_path)
    with pytest.raises(InputError, match=r"have no reading .*more than 50%.*move the beam"):
        read(tmp_path, beam(), opened(IMAGE), **options)
    with pytest.raises(InputError, match=r"set gaps = 0\.3 in the study and train it again"):
        read(tmp_path, beam(), IMAGE, **options)


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("seen", ["against", "downstream"])
def test_a_profile_with_numbers_that_are_none(axis, seen, tmp_path):
    """A table with positions that rise or fall, seen from either side."""
    middles = (FINE[0][1:] + FINE[0][:-1]) / 2
    counts = np.arange(10.0) ** 2
    counts[3] = np.nan
    rows = np.column_stack((middles, counts))[::axis]
    np.savetxt(tmp_path / "h.txt", rows)
    np.savetxt(tmp_path / "v.txt", np.arange(8.0))
    files = [tmp_path / "h.txt", tmp_path / "v.txt"]
    found = read_observation(files, opened(PROFILES), Reading(seen=seen))
    wanted = counts if seen == "against" else counts[::-1]
    np.testing.assert_allclose(found.x, np.concatenate((wanted, np.arange(8.0))))
    with pytest.raises(InputError, match="no finite number"):
        read_observation(files, PROFILES)


def test_a_list_in_the_order_of_bins(tmp_path):
    counts = np.arange(18.0) + 1
    counts[[2, 12]] = np.nan
    found = read(tmp_path, counts, opened(PROFILES))
    np.testing.assert_array_equal(found.x, counts)
    assert sum("have no reading" in line for line in found.done) == 2


def test_a_scan_that_is_not_even_says_what_to_do(tmp_path):
    middles = np.sort(np.random.default_rng(0).uniform(-0.05, 0.05, 60))
    counts = 100 * np.exp(-((middles / 0.02) ** 2))
    counts[30] = np.nan
    np.savetxt(tmp_path / "h.txt", np.column_stack((middles, counts)))
    np.savetxt(tmp_path / "v.txt", np.arange(8.0))
    with pytest.raises(InputError, match="remove the lines of these readings"):
        read_observation([tmp_path / "h.txt", tmp_path / "v.txt"], opened(PROFILES))

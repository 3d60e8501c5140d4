"""Do scans of slits, wires and knife edges give the counts of the study's bins?"""

import numpy as np
import pytest
from scipy.special import erf

from raybayes.errors import InputError
from raybayes.observations import Reading, Target, read_observation

EDGES = np.linspace(-0.05, 0.05, 21)  # bins of 5 um
TARGET = Target("profiles", (EDGES, np.zeros(1)))
MIDDLE, SD, LIGHT = 0.006, 0.009, 1e5  # mm; counts in all
EVEN = np.linspace(-0.06, 0.06, 61)  # 2 um
# Fine where the beam is, coarse beside it, as people scan.
UNEVEN = np.unique(np.round([*np.arange(-60, -20, 4), *np.arange(-20, 30), *np.arange(30, 62, 4)]))
UNEVEN = 1e-3 * UNEVEN


def below(x):
    """Of the beam's counts, those left of x."""
    return LIGHT / 2 * (1 + erf((np.asarray(x) - MIDDLE) / SD / np.sqrt(2)))


def density(x):
    return LIGHT / SD / np.sqrt(2 * np.pi) * np.exp(-(((x - MIDDLE) / SD) ** 2) / 2)


IN_BINS = np.diff(below(EDGES))


def scan(folder, places, readings, **options):
    np.savetxt(folder / "x.csv", np.stack([places, readings], 1), delimiter=",", header="x_mm,n")
    return read_observation([folder / "x.csv"], TARGET, Reading(**options))


def close(found, within=0.01):
    np.testing.assert_allclose(found.x, IN_BINS, atol=within * IN_BINS.max())


def test_even_steps_are_counts_of_their_own_width(tmp_path):
    close(scan(tmp_path, EVEN, density(EVEN) * 0.002))


@pytest.mark.parametrize("places", [UNEVEN, UNEVEN[::-1]], ids=["rising", "falling"])
def test_uneven_steps_give_the_density(places, tmp_path):
    """Where readings lie denser there is no more light."""
    found = scan(tmp_path, places, density(places) * 0.001, slit=0.001)
    close(found, 0.02)
    assert any("a slit 1 um wide (slit)" in line for line in found.done)
    # Without the slit's width its counts are those of a bin: one factor, and the same shape.
    loose = scan(tmp_path, places, density(places) * 0.005)
    close(loose, 0.02)
    assert any("set slit to its width" in line for line in loose.done)


def test_a_slit_wider_than_its_steps(tmp_path):
    """Readings overlap, and each photon is counted once all the same."""
    close(scan(tmp_path, EVEN, density(EVEN) * 0.004, slit=0.004), 0.02)


def test_an_edge_of_a_knife(tmp_path):
    close(scan(tmp_path, EVEN, below(EVEN), probe="knife"))
    found = scan(tmp_path, EVEN, LIGHT - below(EVEN), probe="knife")
    close(found)
    assert any("A falling knife's edge" in line for line in found.done)
    close(scan(tmp_path, EVEN[::-1], below(EVEN)[::-1], probe="knife"))
    close(scan(tmp_path, UNEVEN, below(UNEVEN), probe="knife"), 0.02)
    close(scan(tmp_path, EVEN, 300 + below(EVEN), probe="knife", background=300.0))


def test_a_smoothed_knife_is_wider_by_the_smoothing(tmp_path):
    fwhm = 0.008
    found = scan(tmp_path, EVEN, below(EVEN), probe="knife", smoothing=fwhm).x
    sd = np.hypot(SD, fwhm / 2.3548)
    wanted = np.diff(LIGHT / 2 * (1 + erf((EDGES - MIDDLE) / sd / np.sqrt(2))))
    np.testing.assert_allclose(found, wanted, atol=0.01 * wanted.max())
    noise = np.random.default_rng(0).normal(0, 300, len(EVEN))
    rough, smooth = (
        scan(tmp_path, EVEN, below(EVEN) + noise, probe="knife", smoothing=width).x
        for width in (None, fwhm)
    )
    assert np.std(smooth - wanted) < np.std(rough - IN_BINS) / 2


def test_the_study_background_comes_back_where_a_knife_has_lost_it(tmp_path):
    """A constant level goes by the differences, as by subtraction."""
    np.savetxt(tmp_path / "x.csv", np.stack([EVEN, 300 + below(EVEN)], 1), delimiter=",")
    study = Target("profiles", TARGET.edges, background=7.0)
    found = read_observation([tmp_path / "x.csv"], study, Reading(probe="knife"))
    np.testing.assert_allclose(found.x, IN_BINS + 7, atol=0.01 * IN_BINS.max())


def test_unsorted_and_repeated_readings(tmp_path):
    """As motors that come back leave them; the dark readings go with theirs."""
    order = np.random.default_rng(0).permutation(len(EVEN))
    readings = density(EVEN) * 0.002
    found = scan(tmp_path, EVEN[order], readings[order])
    close(found)
    assert "Sorted by position." in found.done
    dark = np.linspace(0, 400, len(EVEN))[order]
    np.savetxt(tmp_path / "d.csv", np.stack([EVEN[order], dark], 1), delimiter=",")
    np.savetxt(
        tmp_path / "y.csv", np.stack([EVEN[order], readings[order] + dark], 1), delimiter=","
    )
    close(read_observation([tmp_path / "y.csv"], TARGET, Reading(dark="d.csv"), tmp_path))
    twice = np.append(EVEN, EVEN[20:40])
    both = scan(tmp_path, twice, np.append(readings, readings[20:40]))
    close(both)
    assert any("20 repeated readings merged" in line for line in both.done)


def test_a_background_is_that_of_a_reading(tmp_path):
    """Also where readings become finer cells."""
    readings = density(UNEVEN) * 0.001 + 40
    close(scan(tmp_path, UNEVEN, readings, slit=0.001, background=40.0), 0.02)


@pytest.mark.parametrize(
    "places, readings, options, words",
    [
        (EVEN, below(EVEN), {}, "as behind a knife's edge"),
        (EVEN[::8], density(EVEN[::8]), {"slit": 0.001}, "too coarse for the study's bins"),
        (EVEN[:2], below(EVEN[:2]), {"probe": "knife"}, "has 2 readings of a knife's edge"),
        (UNEVEN, below(UNEVEN), {"probe": "knife", "smoothing": 0.01}, "smoothing needs even"),
        (UNEVEN, density(UNEVEN), {"pixel_size": 0.001}, "uneven steps; leave pixel_size out"),
        (np.where(EVEN[9] == EVEN, np.inf, EVEN), density(EVEN), {}, "no finite number"),
        (EVEN + 12.3, density(EVEN), {}, "measure wider, or say where the optical axis is"),
    ],
)
def test_refused(places, readings, options, words, tmp_path):
    with pytest.raises(InputError, match=words):
        scan(tmp_path, places, readings, **options)


def test_an_edge_that_is_cut_by_a_slit(tmp_path):
    """The user's word counts."""
    found = scan(tmp_path, EVEN, below(EVEN) * 0.002, probe="slit")
    assert found.x[-1] > 0.9 * found.x.max()


def test_the_axis_of_a_motor(tmp_path):
    """Positions around 12.3 mm, by origin or by the number of a reading."""
    places = EVEN + 12.3
    close(scan(tmp_path, places, density(EVEN) * 0.002, origin=(12.3, 0)))
    at = int(np.argmin(np.abs(EVEN)))
    close(scan(tmp_path, places, density(EVEN) * 0.002, centre=(at, 0)))

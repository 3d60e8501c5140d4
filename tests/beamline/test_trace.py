"""The tracer as a program: the same rays for any number of threads, nothing lost in silence."""

import numba
import numpy as np
import pytest

from raybayes.beamline.derive import with_values
from raybayes.beamline.trace import trace
from raybayes.errors import InputError

SAMPLINGS = ("sobol", "random")


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_same_rays_for_any_number_of_threads(sampling, ue112):
    results = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        results.append(trace(ue112, 3000, seed=5, sampling=sampling))
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert np.array_equal(results[0].values, results[1].values, equal_nan=True)
    assert np.array_equal(results[0].lost_at, results[1].lost_at)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_seed(sampling, ue112):
    one, again, other = (trace(ue112, 500, seed=s, sampling=sampling).values for s in (1, 1, 2))
    assert np.array_equal(one, again, equal_nan=True)
    assert not np.array_equal(one, other, equal_nan=True)


def test_directions_stay_unit_vectors(ue112):
    for plane in ("M1", "M2", "G", "M3", "M4", "IP"):
        rays = trace(ue112, 2000, plane=plane)
        norm = np.linalg.norm(rays.values[3:6, rays.arrived], axis=0)
        np.testing.assert_allclose(norm, 1, rtol=0, atol=1e-12)


def test_hits_lie_on_the_torus(ue112):
    rays = trace(ue112, 2000, plane="M4")
    x, y, z = rays.values[:3, rays.arrived]
    big, rho = ue112["M4"].number("longRadius"), ue112["M4"].number("shortRadius")
    residual = (y - big) ** 2 + z**2 - (big - rho + np.sqrt(rho**2 - x**2)) ** 2
    assert np.abs(residual / (2 * big)).max() < 1e-9  # mm off the surface


def test_every_lost_ray_has_a_place(ue112):
    rays = trace(ue112, 10_000)
    places, counts = np.unique(rays.lost_at, return_counts=True)
    assert counts.sum() == 10_000
    assert set(places) <= {"", "AP", "M1", "M2", "G", "M3", "ES", "M4"}
    assert np.isfinite(rays.values[:, rays.arrived]).all()


def test_a_missed_mirror_loses_the_beam(ue112):
    tilted = with_values(ue112, {"M1.translationXerror": 50.0})  # the blank is 20 mm wide
    rays = trace(tilted, 1000)
    assert rays.transmission == 0 and (rays.lost_at != "").all()


def test_bad_calls(ue112):
    for rays in (0, 10.5):
        with pytest.raises(InputError, match="a whole number of rays"):
            trace(ue112, rays)
    with pytest.raises(InputError, match="must not be negative"):
        trace(ue112, 10, seed=-1)
    with pytest.raises(InputError, match="no element 'M7'"):
        trace(ue112, 10, plane="M7")


def test_the_source_is_a_plane_too(ue112):
    rays = trace(ue112, 4096, plane="UE112")
    assert rays.arrived.all() and rays.path.max() == 0
    assert rays.x.std() == pytest.approx(0.2690, rel=0.01)

"""Is every prior a density, and its map to the standard normal one to one?"""

import numpy as np
import pytest
from densities import BOX, PRIORS
from pydantic import TypeAdapter

from raybayes.errors import InputError
from raybayes.prior import (
    Independent,
    Marginal,
    TruncatedNormal,
    Uniform,
    box,
)


def test_every_marginal_has_a_case():
    kinds = {m.kind for prior in PRIORS.values() for m in prior.marginals}
    schema = TypeAdapter(Marginal).json_schema()
    assert kinds == set(schema["discriminator"]["mapping"])


@pytest.mark.parametrize("case", PRIORS)
def test_bijection_and_its_determinant(case):
    prior = PRIORS[case]
    theta = prior.sample(200, np.random.default_rng(0))
    z = prior.to_real(theta)
    np.testing.assert_allclose(prior.from_real(z), theta, rtol=1e-10, atol=1e-12)
    step = 1e-6 * prior.sd
    slope = (prior.to_real(theta + step) - prior.to_real(theta - step)) / (2 * step)
    inside = np.isfinite(prior.log_prob(theta + 2 * step) + prior.log_prob(theta - 2 * step))
    np.testing.assert_allclose(
        prior.log_det_to_real(theta)[inside], np.log(slope).sum(axis=1)[inside], atol=1e-3
    )


@pytest.mark.parametrize("case", PRIORS)
def test_prior_becomes_standard_normal(case):
    theta = PRIORS[case].sample(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(PRIORS[case].to_real(theta).T), np.eye(2), atol=0.04)
    np.testing.assert_allclose(theta.std(axis=0), PRIORS[case].sd, rtol=0.06)


@pytest.mark.parametrize("case", PRIORS)
def test_prior_density_integrates_to_one(case):
    prior = PRIORS[case]
    axes = [np.linspace(*ends, 2001) for ends in zip(prior.low, prior.high, strict=True)]
    for i, axis in enumerate(axes):
        theta = np.tile(prior.from_real(np.zeros(2)), (len(axis), 1))
        middle = (axis[1:] + axis[:-1]) / 2
        theta = theta[1:]
        theta[:, i] = middle
        other = PRIORS[case].marginals[1 - i].distribution.pdf(theta[0, 1 - i])
        mass = np.exp(prior.log_prob(theta)).sum() * (axis[1] - axis[0]) / other
        assert mass == pytest.approx(1, abs=5e-3)


def test_nothing_leaves_the_box():
    theta = BOX.from_real(1e3 * np.random.default_rng(0).standard_normal((1_000_000, 2)))
    assert np.isfinite(BOX.log_prob(theta)).all()
    np.testing.assert_allclose(BOX.log_prob([[0, 1.9], [0, 4]]), [-np.inf, -np.log(8)])


def test_the_edge_is_as_far_as_the_last_number_before_it():
    """A draw that rounding puts on the edge must not get a density of another order."""
    inside = BOX.to_real([np.nextafter(1.0, 0), 4])
    np.testing.assert_allclose(BOX.to_real([1.0, 4]), inside, atol=0.3)
    assert np.isfinite(BOX.log_det_to_real([[1.0, 6.0], [-1.0, 2.0]])).all()


@pytest.mark.parametrize("case", PRIORS)
def test_no_z_leaves_the_support(case):
    far = np.array([[-1e9, 1e9], [-40.0, 39.0], [0.0, -np.inf], [np.inf, 37.0]])
    theta = PRIORS[case].from_real(far)
    assert np.isfinite(theta).all() and np.isfinite(PRIORS[case].log_prob(theta)).all()


def test_rounding_takes_no_draw_across_an_end():
    """SciPy's ends are a sum, which may be the next number to that which was given."""
    rng = np.random.default_rng(0)
    lows, widths = rng.normal(size=300), rng.uniform(0.01, 10, 300)
    pairs = zip(lows, lows + widths, strict=True)
    cut = [
        kind(low=low, high=high, **rest)
        for low, high in pairs
        for kind, rest in ((Uniform, {}), (TruncatedNormal, {"mean": 0.3, "sd": 0.7}))
    ]
    prior = Independent(tuple(f"t{i}" for i in range(len(cut))), tuple(cut))
    theta = prior.from_real(np.array([[-50.0], [50.0]]) * np.ones(prior.dim))
    assert (theta[0] >= [m.low for m in cut]).all() and (theta[1] <= [m.high for m in cut]).all()
    assert np.isfinite(prior.log_prob(theta)).all()


BOXES = {
    "reversed": ((("a",), (1.0,), (0.0,)), "prior of a: low 1 must be below high 0"),
    "empty": ((("a",), (1.0,), (1.0,)), "must be below"),
    "not finite": ((("a",), (0.0,), (np.inf,)), "must be below"),
    "twice": ((("a", "a"), (0.0, 0.0), (1.0, 1.0)), "stands twice"),
    "lengths": ((("a",), (0.0, 0.0), (1.0, 1.0)), "one name, one low"),
}


@pytest.mark.parametrize("case", BOXES)
def test_bad_boxes(case):
    arguments, message = BOXES[case]
    with pytest.raises(InputError, match=message):
        box(*arguments)

"""Is an embedding that was trained before as good as one trained jointly?"""

from dataclasses import replace

import jax
import numpy as np
import pytest
from densities import BOX, SMALL
from linear_task import exact_loss, simulated

from raybayes.density import (
    Pretraining,
    deep,
)
from raybayes.density.pretraining import Frozen
from raybayes.errors import InputError
from raybayes.inference.estimator import Estimator, Proposed
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Training
from raybayes.store import read_arrays


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("target", ["regression", "classification"])
def test_an_embedding_trained_before(target, frozen, tmp_path):
    """It fits as well as one trained jointly, and stays as it was where it is frozen."""
    rng = np.random.default_rng(0)
    theta = BOX.sample(4000, rng)
    x = simulated(theta, rng)
    config = deep(**SMALL, members=2)
    plan = Pretraining(target=target, bins=8, epochs=5, frozen=frozen)
    estimator = Estimator(BOX, config, Training(epochs=10, batch=100), plan)
    path = tmp_path / "checkpoint.safetensors"
    posterior, fit = estimator.train(theta, x, checkpoint=path)
    before, _ = read_arrays(tmp_path / "checkpoint-embedding.safetensors")
    learned = fit.density.members.density.embedding
    same = any(np.array_equal(a, jax.tree.leaves(learned)[0]) for a in before.values())
    assert same == frozen
    if frozen:  # going on from these networks does not train their embeddings anew
        more = replace(estimator, training=Training(epochs=1))
        warm = more.fit(theta[:500], x[:500], proposed=Proposed(posterior))
        warm = warm.density.members.density.embedding
        assert np.array_equal(jax.tree.leaves(warm)[0], jax.tree.leaves(learned)[0])
        more = replace(more, pretraining=None)
        warm = more.fit(theta[:500], x[:500], proposed=Proposed(posterior))
        warm = warm.density.members.density.embedding
        assert isinstance(learned, Frozen) and not isinstance(warm, Frozen)
    fresh = BOX.sample(500, rng)
    x = simulated(fresh, rng)
    log_q = posterior.log_prob(fresh[:, None], x)[:, 0] - BOX.log_det_to_real(fresh)
    assert -log_q.mean() == pytest.approx(exact_loss(fresh, x), abs=0.1)
    posterior.save(tmp_path / "p.safetensors")
    again = Posterior.load(tmp_path / "p.safetensors")
    assert np.array_equal(again.sample(x[0], 5), posterior.sample(x[0], 5))


def test_an_embedding_without_layers_has_nothing_to_learn_before():
    rng = np.random.default_rng(0)
    theta = BOX.sample(100, rng)
    config = deep(**SMALL | {"embedding": {"widths": ()}})
    with pytest.raises(InputError, match="pretraining: the embedding has no layers"):
        Estimator(BOX, config, pretraining=Pretraining()).fit(theta, simulated(theta, rng))

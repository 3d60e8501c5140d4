import pytest
from densities import BOX, DENSITIES
from linear_task import problem

from raybayes.inference.posterior import Posterior


@pytest.fixture(scope="session")
def trained():
    config = DENSITIES["deep"]
    trainer = problem(20_000, config)
    fit = trainer.fit()
    made_by = {"raybayes": "test"}
    return trainer, fit, Posterior(BOX, fit.density, config, 3, made_by)

"""Sequential rounds kept in a folder: what is there is not done again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.inference.posterior import Posterior
from raybayes.inference.sequential import Sequential, State
from raybayes.prior import sampled
from raybayes.store import digest, make_folder, read_arrays, write_arrays


def run_rounds(
    task: Sequential,
    rounds: int,
    n: int,
    folder: Path,
    progress: Callable[[State], object] = lambda state: None,
) -> State:
    """Rounds of n simulations each; an interrupted run goes on to the same result.

    Args:
        folder: gets the pairs, the posterior and the training state of every round.

    Raises:
        InputError: the folder holds the rounds of another observation, prior, estimator, method,
            size or seed.
    """
    make_folder(folder)
    state = task.init()
    for number in range(rounds):
        theta, x = _pairs(task, state, n, folder / f"round-{number:03d}.safetensors")
        path = folder / f"posterior-{number:03d}.safetensors"
        if path.exists():
            posterior = Posterior.load(path, task.estimator.prior)
            state = replace(state.joined(theta, x), posterior=posterior)
        else:
            state = task.fit(state, theta, x, folder / f"training-{number:03d}.safetensors")
            if state.posterior is not None:
                state.posterior.save(path)
        progress(state)
    return state


def _pairs(task: Sequential, state: State, n: int, path: Path) -> tuple[Array, Array]:
    """The pairs of the next round: read, or simulated and written."""
    mark = {"rounds": _identity(task, n)}
    if not path.exists():
        theta, x = task.pairs(state, n)
        write_arrays(path, {"theta": theta, "x": x}, mark)
    arrays, header = read_arrays(path)
    if header != mark:
        raise InputError(
            f"{path}: belongs to rounds of another observation, prior, estimator, method, size or "
            "seed; choose another folder"
        )
    return arrays["theta"], arrays["x"]


def _identity(task: Sequential, n: int) -> str:
    """Hash of what determines the rounds, but for the code of simulator and noise."""
    e = task.estimator
    prior = (*e.prior.names, *(f"{v:.8g}" for v in sampled(e.prior).flat))
    fitted = (e.density, e.training, e.pretraining, e.seed)
    parts = (task.method.name, task.method.atoms, n, task.noise is not None, *fitted, *prior)
    return digest(parts, np.asarray(task.x_o, np.float64))

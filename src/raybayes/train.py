"""One fitting loop: maximum likelihood of a conditional density, with fresh data every epoch.

The recipe (a cosine decay to zero, a clipped gradient, noise redrawn in every epoch) matters
more than the architecture; `benchmarks/training.py` measures it.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from raybayes.errors import InputError
from raybayes.store import read_arrays, write_arrays

Array32 = NDArray[np.float32]
Batch = tuple[Array32, Array32]


class Density(Protocol):
    """Anything with log q(z | x)."""

    def log_prob(self, z: jax.Array, x: jax.Array) -> jax.Array: ...


Q = TypeVar("Q", bound=Density)


class Training(BaseModel):
    """How a network is fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(30, gt=0)
    batch: int = Field(128, gt=0)
    learning_rate: float = Field(3e-3, gt=0, description="peak; cosine decay to 0")
    warmup: float = Field(0.02, ge=0, lt=1, description="fraction of all steps")
    weight_decay: float = Field(1e-4, ge=0)
    clip: float = Field(5.0, gt=0, description="largest norm of the gradient")
    validation: float = Field(0.05, gt=0, lt=0.5, description="fraction held out")
    patience: int = Field(10, gt=0, description="epochs without improvement before it stops")


@dataclass(frozen=True)
class State:
    """All that a fit needs to go on: networks, optimiser, and what happened so far.

    Attributes:
        params: the trainable arrays now; best: those with the lowest validation loss.
        history: per epoch, (training loss, validation loss) in nats.
        stopped: why it ended before the last epoch; "" while it runs or when it ran through.
    """

    params: Any
    optimiser: Any
    best: Any
    history: tuple[tuple[float, float], ...] = ()
    stopped: str = ""

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        return int(np.nanargmin([valid for _, valid in self.history])) if self.history else -1


@dataclass(frozen=True)
class Fit(Generic[Q]):
    """A fitted density and its training curve."""

    density: Q
    history: tuple[tuple[float, float], ...]
    best_epoch: int
    stopped: str


@dataclass(frozen=True)
class Trainer(Generic[Q]):
    """Pure `init` and `step` over epochs, and the loop around them.

    Attributes:
        density: the network to start from.
        trainable: which of its leaves are fitted, a filter for `equinox.partition`.
        draw: epoch -> (z [n, d], x [n, bins]); must depend on the epoch alone.
        held_out: (z, x) for validation.
        n: rows that `draw` gives.
    """

    density: Q
    trainable: Any
    config: Training
    draw: Callable[[int], Batch]
    held_out: Batch
    n: int
    seed: int = 0
    _compiled: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def batch(self) -> int:
        return min(self.config.batch, self.n)

    @property
    def steps(self) -> int:
        """Per epoch."""
        return self.n // self.batch

    def optimiser(self) -> optax.GradientTransformation:
        total = self.config.epochs * self.steps
        warmup = int(self.config.warmup * total)
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, self.config.learning_rate, warmup, max(total, warmup + 1), 0.0
        )
        return optax.chain(
            optax.clip_by_global_norm(self.config.clip),
            optax.adamw(schedule, weight_decay=self.config.weight_decay),
        )

    def init(self) -> State:
        params = eqx.filter(self.density, self.trainable)
        return State(params, self.optimiser().init(params), params)

    def step(self, state: State, data: Batch) -> State:
        """One epoch over `data`, then the validation loss."""
        z, x = self._batches(state.epoch, data)
        params, optimiser, losses = self._epoch(state.params, state.optimiser, z, x)
        valid = self._validate(params, *self.held_out)
        history = (*state.history, (float(np.mean(losses)), valid))
        if not np.isfinite(history[-1]).all():
            stopped = f"the loss was not finite in epoch {len(history)}; the best weights are kept"
            return replace(state, history=history, stopped=stopped)
        state = replace(state, params=params, optimiser=optimiser, history=history)
        if state.best_epoch == state.epoch - 1:
            state = replace(state, best=params)
        elif state.epoch - 1 - state.best_epoch >= self.config.patience:
            why = f"no improvement in {self.config.patience} epochs"
            state = replace(state, stopped=why)
        return state

    def _batches(self, epoch: int, data: Batch) -> tuple[Array32, Array32]:
        order = np.random.default_rng((self.seed, epoch)).permutation(self.n)
        order = order[: self.steps * self.batch].reshape(self.steps, self.batch)
        return data[0][order], data[1][order]

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._compiled:
            self._compiled[name] = make()
        return self._compiled[name]

    def _loss(self, params: Any, z: jax.Array, x: jax.Array) -> jax.Array:
        return -jnp.mean(self._log_prob(params, z, x))

    def _validate(self, params: Any, z: Array32, x: Array32) -> float:
        """Mean -log q; summed in float64 on the host, where the order of a sum is fixed."""
        log_q = self._once("validate", lambda: jax.jit(self._log_prob))(params, z, x)
        return -float(np.asarray(log_q).mean(dtype=np.float64))

    def _log_prob(self, params: Any, z: jax.Array, x: jax.Array) -> jax.Array:
        return jax.vmap(eqx.combine(params, self.density).log_prob)(z, x)

    def _epoch(self, params: Any, state: Any, z: Array32, x: Array32) -> tuple[Any, Any, Any]:
        optimiser = self.optimiser()

        def step(
            carry: tuple[Any, Any], batch: tuple[jax.Array, jax.Array]
        ) -> tuple[tuple[Any, Any], jax.Array]:
            loss, gradient = jax.value_and_grad(self._loss)(carry[0], *batch)
            updates, moments = optimiser.update(gradient, carry[1], carry[0])
            return (optax.apply_updates(carry[0], updates), moments), loss

        def epoch(params: Any, state: Any, z: jax.Array, x: jax.Array) -> tuple[Any, Any, Any]:
            (params, state), losses = jax.lax.scan(step, (params, state), (z, x))
            return params, state, losses

        return self._once("epoch", lambda: jax.jit(epoch))(params, state, z, x)

    def fit(
        self,
        checkpoint: Path | None = None,
        identity: str = "",
        progress: Callable[[State], object] = lambda state: None,
    ) -> Fit[Q]:
        """Train to the end, or on from a checkpoint of the same `identity`.

        The next epoch's data is drawn while this one trains. A resumed fit ends in the same
        weights as one that was never interrupted.
        """
        state = self._resume(checkpoint, identity)
        progress(state)
        every = max(1, self.config.epochs // 10)
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(self.draw, state.epoch)
            while state.epoch < self.config.epochs and not state.stopped:
                data = upcoming.result()
                upcoming = pool.submit(self.draw, state.epoch + 1)
                state = self.step(state, data)
                progress(state)
                if checkpoint and (state.epoch % every == 0 or state.stopped):
                    _save(checkpoint, identity, state)
        density = eqx.combine(state.best, self.density)
        return Fit(density, state.history, state.best_epoch, state.stopped)

    def _resume(self, checkpoint: Path | None, identity: str) -> State:
        state = self.init()
        if checkpoint is None or not checkpoint.exists():
            return state
        arrays, header = read_arrays(checkpoint)
        if header["identity"] != identity:
            raise InputError(f"{checkpoint}: made by another study; choose another output folder")
        leaves, tree = jax.tree.flatten((state.params, state.optimiser, state.best))
        stored = [jnp.asarray(arrays[str(i)]) for i in range(len(leaves))]
        params, optimiser, best = jax.tree.unflatten(tree, stored)
        history = tuple((float(a), float(b)) for a, b in json.loads(str(header["history"])))
        return State(params, optimiser, best, history, str(header["stopped"]))


def _save(path: Path, identity: str, state: State) -> None:
    leaves = jax.tree.leaves((state.params, state.optimiser, state.best))
    arrays = {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}
    header = {
        "identity": identity,
        "history": json.dumps(state.history),
        "stopped": state.stopped,
    }
    write_arrays(path, arrays, header)

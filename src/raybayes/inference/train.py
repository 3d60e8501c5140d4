"""One fitting loop: maximum likelihood of a conditional density, with fresh data every epoch.

The recipe (a cosine decay to zero, a clipped gradient, noise redrawn in every epoch) matters
more than the architecture; `benchmarks/training.py` measures it.
"""

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from raybayes.array_types import Array32, Ints
from raybayes.density.ensemble import Ensemble, Q
from raybayes.density.trees import arrays_of, part, stack, trainable, tree_of
from raybayes.errors import InputError, stop_if_asked
from raybayes.inference.muon import muon
from raybayes.store import damaged, read_arrays, write_arrays

Batch = tuple[Array32, Array32]

# Multiply-adds of one network's batch from which products without the members' axis are faster.
LARGE = 100_000_000


class Training(BaseModel):
    """How a network is fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(30, gt=0)
    batch: int = Field(128, gt=0)
    optimiser: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: dearer steps that go further; wants a batch of 512"
    )
    learning_rate: float = Field(3e-3, gt=0, description="peak; cosine decay to 0")
    warmup: float = Field(0.02, ge=0, lt=1, description="fraction of all steps")
    weight_decay: float = Field(1e-4, ge=0)
    clip: float = Field(5.0, gt=0, description="largest norm of the gradient")
    averaging: float = Field(0.999, ge=0, lt=1, description="decay of a running mean of weights")
    validation: float = Field(0.05, gt=0, lt=0.5, description="fraction held out")
    patience: int = Field(10, gt=0, description="epochs without improvement before it stops")


@dataclass(frozen=True)
class State:
    """All that a fit needs to go on: networks, optimiser, and what happened so far.

    Arrays have a leading axis of members.

    Attributes:
        params: the trainable arrays now; mean: their running mean; best: those means with the
            lowest validation loss of each member, `least`, reached after `best_epochs` epochs.
        history: per epoch, (training loss, validation loss), means over the members.
        stopped: why it ended before the last epoch; "" while it runs or when it ran through.
    """

    params: Any
    optimiser: Any
    mean: Any
    best: Any
    least: Array32
    best_epochs: NDArray[np.int32]
    history: tuple[tuple[float, float], ...] = ()
    stopped: str = ""

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.history)


@dataclass(frozen=True)
class Fit(Generic[Q]):
    """Fitted networks, as one density, and their training curve.

    Attributes:
        best_epochs: after how many epochs each member was at its best, and kept; least: its
            validation loss then.
    """

    members: tuple[Q, ...]
    history: tuple[tuple[float, float], ...]
    best_epochs: tuple[int, ...]
    least: tuple[float, ...]
    stopped: str

    @cached_property
    def density(self) -> Q | Ensemble[Q]:
        """The networks as one density."""
        if len(self.members) == 1:
            return self.members[0]
        return Ensemble(stack(self.members), len(self.members))


@dataclass(frozen=True)
class Trainer(Generic[Q]):
    """Pure `init` and `step` over epochs, and the loop around them.

    Members of an ensemble train side by side in one compiled step, each with its own batches,
    gradient and optimiser; where JAX has several devices they are spread over them. The weights
    of each that did best on its own held-out pairs are kept.

    Attributes:
        members: the networks to start from, of one structure.
        draw: epoch -> (z [n, d], x [n, size]); must depend on the epoch alone.
        rows: [members, k] of the drawn pairs that each member trains on.
        held_out: (z [members, h, d], x [members, h, size]) for validation.
    """

    members: Sequence[Q]
    config: Training
    draw: Callable[[int], Batch]
    rows: Ints
    held_out: Batch
    seed: int = 0

    @property
    def batch(self) -> int:
        """Pairs of a step."""
        return min(self.config.batch, self.rows.shape[1])

    @property
    def steps(self) -> int:
        """Per epoch."""
        return self.rows.shape[1] // self.batch

    @cached_property
    def optimiser(self) -> optax.GradientTransformation:
        """Clipped gradients, a warm-up and a cosine decay, AdamW or Muon."""
        total = self.config.epochs * self.steps
        warmup = int(self.config.warmup * total)
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, self.config.learning_rate, warmup, max(total, warmup + 1), 0.0
        )
        decay = self.config.weight_decay
        if self.config.optimiser == "muon":
            follow = muon(schedule, decay)
        else:
            follow = optax.adamw(schedule, weight_decay=decay)
        return optax.chain(optax.clip_by_global_norm(self.config.clip), follow)

    def init(self) -> State:
        """Before the first epoch."""
        params = self._spread(eqx.filter(self._stacked, self._filter))
        moments = jax.jit(jax.vmap(self.optimiser.init))(params)
        none = np.zeros(len(self.members), np.int32)
        return State(params, moments, params, params, self._validate(params), none)

    def step(self, state: State, data: Batch) -> State:
        """One epoch over `data`, then the validation losses."""
        carry = (state.params, state.optimiser, state.mean)
        order, keys = self._order(state.epoch), self._keys(state.epoch)
        before = state.epoch * self.steps
        (params, optimiser, mean), losses = self._epoch(
            carry, self._fixed[0], *data, order, keys, before
        )
        valid = self._validate(mean)
        history = (*state.history, (float(np.asarray(losses).mean()), float(valid.mean())))
        if not np.isfinite(history[-1]).all():
            stopped = f"the loss was not finite in epoch {len(history)}; the best weights are kept"
            return replace(state, history=history, stopped=stopped)
        better = ~(state.least <= valid)  # also where the start was not finite
        best = _where(better, mean, state.best)
        least = np.where(better, valid, state.least)
        epochs = np.where(better, len(history), state.best_epochs).astype(np.int32)
        patience = self.config.patience
        tired = len(history) - epochs.max() >= patience
        why = f"no improvement in {patience} epochs" if tired else ""
        return State(params, optimiser, mean, best, least, epochs, history, why)

    def _order(self, epoch: int) -> jax.Array:
        """[members, steps, batch]: the rows of each member's batches."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permuted(self.rows, axis=1)[:, : self.steps * self.batch]
        return self._spread(order.reshape(len(self.members), self.steps, self.batch))

    def _keys(self, epoch: int) -> jax.Array:
        """One per member."""
        key = jax.random.fold_in(jax.random.key(self.seed), epoch)
        return jax.random.split(key, len(self.members))

    @cached_property
    def _stacked(self) -> Any:
        return stack(self.members)

    @cached_property
    def _filter(self) -> Any:
        return trainable(self._stacked)

    def _spread(self, tree: Any) -> Any:
        """The members over as many devices as divide them evenly."""
        devices = jax.devices()[: math.gcd(len(self.members), len(jax.devices()))]
        if len(devices) == 1:
            return tree
        mesh = Mesh(np.array(devices), ("member",))
        return jax.device_put(tree, NamedSharding(mesh, PartitionSpec("member")))

    @cached_property
    def _large(self) -> bool:
        """Whether it is one network with large products."""
        weights = sum(leaf.size for leaf in jax.tree.leaves(self._stacked) if eqx.is_array(leaf))
        return len(self.members) == 1 and weights * self.batch >= LARGE

    def _loss(self, params: Any, fixed: Any, z: jax.Array, x: jax.Array, key: Any) -> jax.Array:
        density = eqx.combine(params, fixed)
        return jax.vmap(density.loss)(z, x, jax.random.split(key, len(z))).mean()

    @cached_property
    def _fixed(self) -> tuple[Any, Any]:
        """What is not trained: arrays with the members' axis, and the rest.

        The arrays are arguments of compiled code, not constants in it: so JAX's cache on disk
        serves every network of one shape, whatever its data.
        """
        return eqx.partition(eqx.filter(self._stacked, self._filter, inverse=True), eqx.is_array)

    @cached_property
    def _losses(self) -> Callable[..., jax.Array]:
        """[members]: mean loss of each on its held-out pairs."""
        static = self._fixed[1]

        @jax.jit
        def losses(
            params: Any, arrays: Any, z: jax.Array, x: jax.Array, keys: jax.Array
        ) -> jax.Array:
            def one(params: Any, arrays: Any, *batch: jax.Array) -> jax.Array:
                return self._loss(params, eqx.combine(arrays, static), *batch)

            return jax.vmap(one)(params, arrays, z, x, keys)

        return losses

    def _validate(self, params: Any) -> Array32:
        """Always with the same random numbers."""
        keys = self._keys(self.config.epochs)
        return np.asarray(self._losses(params, self._fixed[0], *self._spread(self.held_out), keys))

    @cached_property
    def _epoch(self) -> Callable[..., tuple[tuple[Any, Any, Any], jax.Array]]:
        static = self._fixed[1]
        decay, optimiser = self.config.averaging, self.optimiser

        def step(
            fixed: Any, carry: tuple[Any, Any, Any], count: jax.Array, batch: tuple[jax.Array, ...]
        ) -> Any:
            params, moments, mean = carry
            loss, gradient = jax.value_and_grad(self._loss)(params, fixed, *batch)
            updates, moments = optimiser.update(gradient, moments, params)
            params = optax.apply_updates(params, updates)
            kept = jnp.minimum(decay, (1 + count) / (10 + count))  # a short run forgets, too
            mean = jax.tree.map(lambda m, p: kept * m + (1 - kept) * p, mean, params)
            return (params, moments, mean), loss

        @jax.jit
        def epoch(
            carry: Any,
            arrays: Any,
            z: jax.Array,
            x: jax.Array,
            order: jax.Array,
            keys: jax.Array,
            before: Any,
        ) -> Any:
            counts = before + jnp.arange(self.steps)

            def one(carry: Any, arrays: Any, order: jax.Array, key: jax.Array) -> Any:
                fixed = eqx.combine(arrays, static)

                def next_(carry: Any, now: tuple[jax.Array, jax.Array, jax.Array]) -> Any:
                    rows, key, count = now
                    return step(fixed, carry, count, (z[rows], x[rows], key))

                return jax.lax.scan(
                    next_, carry, (order, jax.random.split(key, self.steps), counts)
                )

            if not self._large:
                return jax.vmap(one)(carry, arrays, order, keys)
            alone = jax.tree.map(lambda a: a[0], (carry, arrays, order, keys))
            return jax.tree.map(lambda a: a[None], one(*alone))

        return epoch

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
            upcoming = None if self._done(state) else pool.submit(self.draw, state.epoch)
            while upcoming:
                data, more = upcoming.result(), state.epoch + 1 < self.config.epochs
                upcoming = pool.submit(self.draw, state.epoch + 1) if more else None
                state = self.step(state, data)
                progress(state)
                stop_if_asked()
                if checkpoint and (state.epoch % every == 0 or state.stopped):
                    _save(checkpoint, identity, state)
                if self._done(state):
                    break
        return Fit(
            self._finished(state),
            state.history,
            tuple(map(int, state.best_epochs)),
            tuple(map(float, state.least)),
            state.stopped,
        )

    def _done(self, state: State) -> bool:
        return bool(state.stopped) or state.epoch >= self.config.epochs

    def _finished(self, state: State) -> tuple[Q, ...]:
        best = jax.tree.map(lambda a: jax.device_put(np.asarray(a)), state.best)  # on one device
        stacked = eqx.combine(best, self._stacked)
        return tuple(cast(Q, part(stacked, i)) for i in range(len(self.members)))

    def _resume(self, checkpoint: Path | None, identity: str) -> State:
        state = self.init()
        if checkpoint is None or not checkpoint.exists():
            return state
        arrays, header = read_arrays(checkpoint)
        if header.get("identity") != identity:
            raise InputError(
                f"{checkpoint}: not the checkpoint of this fit, but of another study, other data, "
                "another architecture or seed; choose another file or folder"
            )
        *parts, least, best_epochs = tree_of(arrays, _tree(state), checkpoint)
        try:
            history = tuple((float(a), float(b)) for a, b in json.loads(str(header["history"])))
            stopped = str(header["stopped"])
        except (LookupError, TypeError, ValueError) as error:
            raise damaged(checkpoint, "its history is not one") from error
        params, optimiser, mean, best = map(self._spread, parts)
        marks = (np.asarray(least), np.asarray(best_epochs))
        return State(params, optimiser, mean, best, *marks, history, stopped)


@jax.jit
def _where(better: jax.Array, new: Any, old: Any) -> Any:
    """Trees with a leading axis of members: the new one where it is better."""

    def choose(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, new, old)


def _tree(state: State) -> tuple[Any, ...]:
    parts = (state.params, state.optimiser, state.mean, state.best)
    return (*parts, state.least, state.best_epochs)


def _save(path: Path, identity: str, state: State) -> None:
    history = json.dumps(state.history)
    header = {"identity": identity, "history": history, "stopped": state.stopped}
    write_arrays(path, arrays_of(_tree(state)), header)

"""From pairs (theta, x) to a posterior: the estimator, which knows no simulator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.density import DensityConfig, Pretraining, deep, members
from raybayes.density.pretraining import with_embedding
from raybayes.errors import InputError
from raybayes.posterior import Posterior
from raybayes.prior import Prior
from raybayes.train import Fit, State, Trainer, Training

Array32 = NDArray[np.float32]
Draw = Callable[[int], tuple[Array32, Array32]]

SCALE = 10_000  # pairs that tell the scale of z and x
FEWEST = 20  # pairs


@dataclass
class Estimator:
    """Neural posterior estimation: fits q(theta | x) to pairs drawn from the joint.

    Attributes:
        prior: of theta.
        density: the architecture; `raybayes.density` holds recipes.
        training: how it is fitted.
        pretraining: what its embedding learns before; None: it learns with the density alone.
        seed: with the data it determines the result.
        fit_: after `fit`, the training curve and the density.
    """

    prior: Prior
    density: DensityConfig = field(default_factory=deep)
    training: Training = field(default_factory=Training)
    pretraining: Pretraining | None = None
    seed: int = 0
    fit_: Fit = field(init=False, repr=False)

    def fit(
        self,
        theta: ArrayLike,
        x: ArrayLike,
        noise: Callable[[NDArray, np.random.Generator], NDArray] | None = None,
        progress: Callable[[State], object] = lambda state: None,
        checkpoint: Path | None = None,
        made_by: dict[str, str] | None = None,
    ) -> Posterior:
        """Fit to n pairs, of which `training.validation` are held out.

        Args:
            theta: [n, d] drawn from the prior.
            x: [n, size], observations; or, with `noise`, what they are without noise.
            noise: (noise-free x, generator) -> x. Drawn afresh in every epoch, which is worth
                more than many times the simulations.
            checkpoint: a file to save to now and then, and to go on from.

        Raises:
            InputError: shapes that do not fit together, or values that are not finite.
        """
        values, clean = self._pairs(theta, x)
        z = self.prior.to_real(values).astype(np.float32)
        n, epochs = len(z), self.training.epochs
        h = max(1, round(self.training.validation * n))
        # Each member holds other pairs out, so that an ensemble learns from all of them.
        held = (np.arange(h) + h * np.arange(self.density.members)[:, None]) % n
        rows = np.stack([np.setdiff1d(np.arange(n), some) for some in held])

        def observe(rows: NDArray, *stream: int) -> Array32:
            rng = np.random.default_rng((self.seed, *stream))
            return np.asarray(noise(rows, rng) if noise else rows, np.float32)

        held_out = (z[held], np.stack([observe(clean[some], epochs, 0) for some in held]))
        return self._train(
            lambda epoch: (z, observe(clean, epoch)),
            rows, held_out, progress, checkpoint, made_by,
        )  # fmt: skip

    def fit_online(
        self,
        simulate: Callable[[NDArray, np.random.Generator], NDArray],
        simulations: int,
        progress: Callable[[State], object] = lambda state: None,
        checkpoint: Path | None = None,
        made_by: dict[str, str] | None = None,
    ) -> Posterior:
        """Fit to simulations that no epoch sees twice; the next are made while one trains.

        Args:
            simulate: (theta [n, d], generator) -> x [n, size]; must depend on nothing else.
            simulations: for each epoch. As many again as `training.validation` of them are
                held out.

        Raises:
            InputError: as `fit` does.
        """
        if simulations < FEWEST:
            raise InputError(f"{simulations} simulations are too few; give at least {FEWEST}")

        def draw(epoch: int, n: int = simulations) -> tuple[Array32, Array32]:
            rng = np.random.default_rng((self.seed, epoch))
            theta = self.prior.sample(n, rng)
            values, x = self._pairs(theta, simulate(theta, rng))
            return self.prior.to_real(values).astype(np.float32), x.astype(np.float32)

        h, count = round(self.training.validation * simulations), self.density.members
        z, x = draw(self.training.epochs, max(FEWEST, h))
        held_out = (np.stack([z] * count), np.stack([x] * count))
        rows = np.tile(np.arange(simulations), (count, 1))
        return self._train(draw, rows, held_out, progress, checkpoint, made_by)

    def _train(
        self,
        draw: Draw,
        rows: NDArray[np.int64],
        held_out: tuple[Array32, Array32],
        progress: Callable[[State], object],
        checkpoint: Path | None,
        made_by: dict[str, str] | None,
    ) -> Posterior:
        first = draw(0)
        z, x = first
        networks: list[Any] = members(self.density, z[:SCALE], x[:SCALE], self.seed)
        identity = (made_by or {}).get("study_hash", "")

        # Networks of another start hold out the same pairs, so that they can be compared.
        times = len(networks) // len(rows)
        z_held, x_held = (np.concatenate([part] * times) for part in held_out)
        parts = (np.concatenate([rows] * times), (z_held, x_held))

        def trainer(networks: list[Any], training: Training) -> Trainer:
            again = lambda epoch: draw(epoch) if epoch else first  # noqa: E731
            return Trainer(networks, training, again, *parts, self.seed)

        if self.pretraining:
            path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-embedding")
            networks = self._pretrained(self.pretraining, networks, trainer, path, identity)
        fit = trainer(networks, self.training).fit(checkpoint, identity, progress)
        self.fit_ = fit.chosen(self.density.members)
        return Posterior(self.prior, self.fit_.density, self.density, x.shape[1], made_by or {})

    def _pretrained(
        self,
        plan: Pretraining,
        networks: list[Any],
        trainer: Callable[[list[Any], Training], Trainer],
        checkpoint: Path | None,
        identity: str,
    ) -> list[Any]:
        """The networks with embeddings that were fitted by themselves."""
        keys = jax.random.split(jax.random.key(self.seed), len(networks))
        pairs = zip(networks, keys, strict=True)
        heads = [plan.head(network, self.prior.dim, key) for network, key in pairs]
        training = self.training.model_copy(update={"epochs": plan.epochs, "patience": plan.epochs})
        fitted = trainer(heads, training).fit(checkpoint, identity).members
        return [
            with_embedding(network, head.embedding, plan.frozen)
            for network, head in zip(networks, fitted, strict=True)
        ]

    def _pairs(self, theta: ArrayLike, x: ArrayLike) -> tuple[NDArray, NDArray]:
        values, seen = np.asarray(theta, np.float64), np.asarray(x)
        if values.ndim != 2 or values.shape[1] != self.prior.dim:
            raise InputError(
                f"theta has shape {values.shape}; it must be [n, {self.prior.dim}], one column "
                "per parameter of the prior"
            )
        if seen.ndim != 2 or len(seen) != len(values):
            raise InputError(
                f"x has shape {seen.shape}; it must be [{len(values)}, size], one row per theta"
            )
        if len(values) < FEWEST:
            raise InputError(f"{len(values)} pairs are too few to fit; give at least {FEWEST}")
        bad = ~np.isfinite(seen).all(axis=1) | ~np.isfinite(self.prior.log_prob(values))
        if bad.any():
            raise InputError(
                f"{bad.sum()} of {len(bad)} pairs have an x that is not finite or a theta outside "
                f"the prior, the first is row {int(np.argmax(bad))}; mend or leave them out"
            )
        return values, seen

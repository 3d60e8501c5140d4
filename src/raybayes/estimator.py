"""From pairs (theta, x) to a posterior: the estimator, which knows no simulator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.density import DensityConfig, deep, members
from raybayes.errors import InputError
from raybayes.posterior import Posterior
from raybayes.prior import Prior
from raybayes.train import Fit, State, Trainer, Training

Array32 = NDArray[np.float32]
Draw = Callable[[int], tuple[Array32, Array32]]

SCALE = 10_000  # pairs that tell the scale of z and x


@dataclass
class Estimator:
    """Neural posterior estimation: fits q(theta | x) to pairs drawn from the joint.

    Attributes:
        prior: of theta.
        density: the architecture; `raybayes.density` holds recipes.
        training: how it is fitted.
        seed: with the data it determines the result.
        fit_: after `fit`, the training curve and the density.
    """

    prior: Prior
    density: DensityConfig = field(default_factory=deep)
    training: Training = field(default_factory=Training)
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
        """Fit to n pairs; the last `training.validation` of them are held out.

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
        n = len(z) - max(1, round(self.training.validation * len(z)))

        def observe(rows: slice, stream: int) -> Array32:
            rng = np.random.default_rng((self.seed, stream))
            return np.asarray(noise(clean[rows], rng) if noise else clean[rows], np.float32)

        held_out = (z[n:], observe(slice(n, None), self.training.epochs))
        return self._train(
            lambda epoch: (z[:n], observe(slice(0, n), epoch)),
            held_out, n, progress, checkpoint, made_by,
        )  # fmt: skip

    def _train(
        self,
        draw: Draw,
        held_out: tuple[Array32, Array32],
        n: int,
        progress: Callable[[State], object],
        checkpoint: Path | None,
        made_by: dict[str, str] | None,
    ) -> Posterior:
        z, x = draw(0)
        networks: list[Any] = members(self.density, z[:SCALE], x[:SCALE], self.seed)
        trainer = Trainer(networks, self.training, draw, held_out, n, self.seed)
        identity = (made_by or {}).get("study_hash", "")
        self.fit_ = trainer.fit(checkpoint, identity, progress)
        return Posterior(self.prior, self.fit_.density, self.density, x.shape[1], made_by or {})

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
        if len(values) < 20:
            raise InputError(f"{len(values)} pairs are too few to fit; give at least 20")
        bad = ~np.isfinite(seen).all(axis=1) | ~np.isfinite(self.prior.log_prob(values))
        if bad.any():
            raise InputError(
                f"{bad.sum()} of {len(bad)} pairs have an x that is not finite or a theta outside "
                f"the prior, the first is row {int(np.argmax(bad))}; mend or leave them out"
            )
        return values, seen

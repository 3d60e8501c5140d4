"""From pairs (theta, x) to a posterior: the estimator, which knows no simulator."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.array_types import Array32, Ints
from raybayes.density import DensityConfig, Pretraining, deep, members
from raybayes.density.atomic import Atomic, with_atoms
from raybayes.density.pretraining import with_embedding
from raybayes.density.trees import arrays_of
from raybayes.errors import InputError
from raybayes.inference.noise import Noise, Nuisance, noisy, observed
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Fit, State, Trainer, Training
from raybayes.prior import Prior, log_prob_of_z, same, sampled
from raybayes.store import digest

AFRESH = 7  # of the random numbers of nuisance parameters
Draw = Callable[[int], tuple[Array32, Array32]]
SCALE = 10_000  # pairs that give the scale of z and x
FEWEST = 20  # pairs


def held_rows(n: int, share: float, members: int) -> Ints:
    """[members, h]: which of n pairs each member of an ensemble holds out.

    Each holds other ones out, so that together they learn from all; from all over, so that pairs
    of every sequential round are among them; and the same ones when pairs are added, so that a
    network that goes on learning is not judged by what it has seen.
    """
    first = (np.arange(math.ceil(n * share)) / share).astype(np.int64)
    return (first + np.arange(members)[:, None]) % n


@dataclass(frozen=True)
class Proposed:
    """Where a round's theta come from, and which network goes on learning.

    Attributes:
        start: whose weights to begin with; of the same prior and architecture. None: new ones.
        atoms: more than 1: theta may come from any proposal, by the loss of SNPE-C; see
            `raybayes.inference.sequential`.
        drawn: how many of theta, the first ones, the prior drew nevertheless.
    """

    start: Posterior | None = None
    atoms: int = 1
    drawn: int = 0


@dataclass(frozen=True)
class Estimator:
    """Neural posterior estimation: fits q(theta | x) to pairs drawn from the joint.

    Attributes:
        prior: of theta.
        density: the architecture; `raybayes.density` holds recipes.
        training: how it is fitted.
        pretraining: what its embedding learns before; None: it learns with the density alone.
        seed: with the data it determines the result.
    """

    prior: Prior
    density: DensityConfig = field(default_factory=deep)
    training: Training = field(default_factory=Training)
    pretraining: Pretraining | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: it must not be negative")

    def fit(
        self,
        theta: ArrayLike,
        x: ArrayLike,
        noise: Noise | None = None,
        progress: Callable[[State], object] = lambda state: None,
        checkpoint: str | os.PathLike[str] | None = None,
        made_by: dict[str, str] | None = None,
        proposed: Proposed = Proposed(),
    ) -> Posterior:
        """The posterior alone of `train`.

        Args:
            theta, x: [n, d] and [n, size]; these and the others as for `train`.
        """
        return self.train(theta, x, noise, progress, checkpoint, made_by, proposed)[0]

    def train(
        self,
        theta: ArrayLike,
        x: ArrayLike,
        noise: Noise | Nuisance | None = None,
        progress: Callable[[State], object] = lambda state: None,
        checkpoint: str | os.PathLike[str] | None = None,
        made_by: dict[str, str] | None = None,
        proposed: Proposed = Proposed(),
    ) -> tuple[Posterior, Fit]:
        """Fit to n pairs, of which `training.validation` are held out.

        Args:
            theta: [n, d] drawn from the prior.
            x: [n, size], observations; or, with `noise`, what they are without noise.
            noise: (noise-free x, generator) -> x. Drawn afresh in every epoch, which is worth
                more than many times the simulations. It must not change its argument. Or a
                `Nuisance`, whose parameters are then drawn afresh, too.
            checkpoint: a file to save to now and then, and to go on from; of the same data,
                architecture, training and seed.
            proposed: of a later round of a sequential method.

        Returns:
            the posterior, and the training curve with the networks.

        Raises:
            InputError: shapes that do not fit together, values that are not finite, or a start or
                checkpoint of another fit.
        """
        start, atoms, drawn = proposed.start, proposed.atoms, proposed.drawn
        values, clean = self._pairs(theta, x)
        missing = self.density.missing
        clean = clean if noise else observed(clean, len(clean), missing)
        z = self.prior.to_real(values).astype(np.float32)
        n, epochs = len(z), self.training.epochs
        nuisance = noise if isinstance(noise, Nuisance) else None
        plain = noise.noise if isinstance(noise, Nuisance) else noise
        if nuisance and atoms > 1:
            raise InputError("a round of a sequential method draws no nuisance parameters afresh")
        held = held_rows(n, self.training.validation, self.density.members)
        rows = np.stack([np.setdiff1d(np.arange(n), some) for some in held])

        def observe(rows: NDArray, *stream: int) -> Array32:
            rng = np.random.default_rng((self.seed, *stream))
            return noisy(plain, rows, rng, missing) if plain else rows

        def afresh(*stream: int) -> tuple[Array32, NDArray]:
            if nuisance is None:
                return z, clean
            rng = np.random.default_rng((self.seed, *stream, AFRESH))
            again, shown = nuisance.afresh(values, clean, rng)
            return self.prior.to_real(again).astype(np.float32), shown

        def drawn_at(epoch: int) -> tuple[Array32, Array32]:
            again, shown = afresh(epoch)
            return again, observe(shown, epoch)

        draw: Draw = drawn_at
        first, shown = afresh(epochs)
        held_out = (first[held], np.stack([observe(shown[some], epochs, 0) for some in held]))
        size = held_out[1].shape[-1]
        networks = self._networks(first, observe(shown[:SCALE], epochs, 1), start)
        if atoms > 1:
            networks = [Atomic(network) for network in networks]
            compared = (min(atoms, n), z, log_prob_of_z(self.prior, values), drawn)
            draw, held_out = self._atomic(draw, held_out, held, *compared)
        before = arrays_of(start.density).values() if start else ()
        saved = self._saved(checkpoint, made_by, (atoms, drawn, bool(noise)), (z, clean, *before))
        fresh = start is None and atoms == 1  # else its embedding has learned already
        fit = self._train(networks, draw, rows, held_out, progress, saved, pretrain=fresh)
        if atoms > 1:
            fit = replace(fit, members=tuple(member.density for member in fit.members))
        return self._posterior(fit, size, made_by)

    def fit_online(
        self,
        simulate: Callable[[NDArray, np.random.Generator], NDArray],
        simulations: int,
        progress: Callable[[State], object] = lambda state: None,
        checkpoint: str | os.PathLike[str] | None = None,
        made_by: dict[str, str] | None = None,
    ) -> Posterior:
        """The posterior alone of `train_online`.

        Args:
            simulate: (theta [n, d], generator) -> x [n, size]; this and the others as for
                `train_online`.
        """
        return self.train_online(simulate, simulations, progress, checkpoint, made_by)[0]

    def train_online(
        self,
        simulate: Callable[[NDArray, np.random.Generator], NDArray],
        simulations: int,
        progress: Callable[[State], object] = lambda state: None,
        checkpoint: str | os.PathLike[str] | None = None,
        made_by: dict[str, str] | None = None,
    ) -> tuple[Posterior, Fit]:
        """Fit to simulations that no epoch sees twice; the next are made while one trains.

        Args:
            simulate: (theta [n, d], generator) -> x [n, size]; must depend on nothing else.
            simulations: for each epoch. As many again as `training.validation` of them are
                held out.

        Raises:
            InputError: as `train` does.
        """
        if simulations < FEWEST:
            raise InputError(f"{simulations} simulations are too few; give at least {FEWEST}")

        def draw(epoch: int, n: int = simulations) -> tuple[Array32, Array32]:
            rng = np.random.default_rng((self.seed, epoch))
            theta = self.prior.sample(n, rng)
            values, x = self._pairs(theta, simulate(theta.copy(), rng))
            z = self.prior.to_real(values).astype(np.float32)
            return z, observed(x, n, self.density.missing)

        h, count = round(self.training.validation * simulations), self.density.members
        z, x = draw(self.training.epochs, max(FEWEST, h))
        held_out = (np.stack([z] * count), np.stack([x] * count))
        rows = np.tile(np.arange(simulations), (count, 1))
        first = draw(0)
        networks = self._networks(*first, None)

        def again(epoch: int) -> tuple[Array32, Array32]:
            return draw(epoch) if epoch else first

        saved = self._saved(checkpoint, made_by, (simulations,), first)
        fit = self._train(networks, again, rows, held_out, progress, saved)
        return self._posterior(fit, x.shape[1], made_by)

    def _networks(self, z: Array32, x: Array32, start: Posterior | None) -> list[Any]:
        """New ones, or copies of another posterior's."""
        if start is None:
            return list(members(self.density, z[:SCALE], x[:SCALE], self.seed))
        theirs = (start.config, start.size, [*start.prior.names])
        alike = theirs == (self.density, x.shape[1], [*self.prior.names])
        if not alike or not same(sampled(start.prior), sampled(self.prior)):
            raise InputError(
                "start: this posterior has another prior, another architecture or another length "
                "of x; its weights serve the same ones alone"
            )
        networks: list[Any] = [each.density for each in start.members]
        frozen = bool(self.pretraining and self.pretraining.frozen)  # which no file of weights says
        return [with_embedding(one, one.density.embedding, frozen) for one in networks]

    def _saved(
        self, checkpoint: str | os.PathLike[str] | None, made_by: dict[str, str] | None,
        parts: tuple[object, ...], arrays: Iterable[NDArray],
    ) -> tuple[Path | None, str]:  # fmt: skip
        """Where training is saved, and the hash of what determines it, but for functions."""
        if checkpoint is None:
            return None, ""
        study = (made_by or {}).get("study_hash", "")
        own = (study, self.density, self.training, self.pretraining, self.seed, *parts)
        return Path(checkpoint), digest(own, *arrays)

    def _atomic(
        self, draw: Draw, held_out: tuple[Array32, Array32], held: Ints,
        atoms: int, z: Array32, log_p: NDArray, drawn: int,
    ) -> tuple[Draw, tuple[Array32, Array32]]:  # fmt: skip
        """Data whose every z comes with `atoms - 1` others, fresh in every epoch."""
        every = np.arange(len(z))

        def among(rows: NDArray, epoch: int) -> Array32:
            rng = np.random.default_rng((self.seed, epoch, 1))
            return with_atoms(z, log_p, every < drawn, rows, atoms, rng)

        def compare(epoch: int) -> tuple[Array32, Array32]:
            return among(every, epoch), draw(epoch)[1]

        compared = np.stack([among(some, self.training.epochs) for some in held])
        return compare, (compared, held_out[1])

    def _posterior(
        self, fit: Fit, size: int, made_by: dict[str, str] | None
    ) -> tuple[Posterior, Fit]:
        return Posterior(self.prior, fit.density, self.density, size, made_by or {}), fit

    def _train(
        self,
        networks: list[Any],
        draw: Draw,
        rows: Ints,
        held_out: tuple[Array32, Array32],
        progress: Callable[[State], object],
        saved: tuple[Path | None, str],
        pretrain: bool = True,
    ) -> Fit:
        checkpoint, identity = saved

        def trainer(networks: list[Any], training: Training) -> Trainer:
            return Trainer(networks, training, draw, rows, held_out, self.seed)

        if pretrain and self.pretraining:
            path = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-embedding")
            networks = self._pretrained(self.pretraining, networks, trainer, path, identity)
        return trainer(networks, self.training).fit(checkpoint, identity, progress)

    def _pretrained(
        self,
        plan: Pretraining,
        networks: list[Any],
        trainer: Callable[[list[Any], Training], Trainer],
        checkpoint: Path | None,
        identity: str,
    ) -> list[Any]:
        """The networks with embeddings that were fitted by themselves."""
        rng = np.random.default_rng(self.seed)
        heads = [plan.head(network, self.prior.dim, rng) for network in networks]
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
        usable = np.isfinite(seen) | (np.isnan(seen) & self.density.missing)
        bad = ~usable.all(axis=1) | ~np.isfinite(self.prior.log_prob(values))
        if bad.any():
            raise InputError(
                f"{bad.sum()} of {len(bad)} pairs have an x that is not finite or a theta outside "
                f"the prior, the first is row {int(np.argmax(bad))}; mend or leave them out"
            )
        return values, seen


def best_of(
    estimators: Iterable[Estimator], theta: ArrayLike, x: ArrayLike, noise: Noise | None = None
) -> tuple[Estimator, Posterior, Fit]:
    """The estimator whose networks expect held-out pairs most, its posterior and training curve.

    Which architecture overfits which problem is not known before. Give estimators of one seed,
    number of members and share of held-out pairs: then all are judged on the same pairs.

    Args:
        theta, x, noise: [n, d], [n, size] and a function, as for `Estimator.train`.

    Raises:
        InputError: no estimator; or as `Estimator.train`.
    """
    fitted = [(estimator, *estimator.train(theta, x, noise)) for estimator in estimators]
    if not fitted:
        raise InputError("best_of needs at least one estimator")
    values, seen = np.asarray(theta, np.float64), np.asarray(x)
    return min(fitted, key=lambda one: _held_out_loss(one[0], one[1], values, seen, noise))


def _held_out_loss(
    estimator: Estimator, posterior: Posterior, theta: NDArray, x: NDArray, noise: Noise | None
) -> float:
    """Mean -log q (nats) of the pairs that each network has held out; the loss may be another."""
    held = held_rows(len(theta), estimator.training.validation, estimator.density.members)
    losses = []
    for member, rows in zip(posterior.members, held, strict=True):
        rng = np.random.default_rng(estimator.seed)
        missing = estimator.density.missing
        seen = noisy(noise, x[rows], rng, missing) if noise else x[rows]
        losses.append(-member.log_prob(theta[rows, None], seen).mean())
    return float(np.nan_to_num(np.mean(losses), nan=np.inf))

"""The posterior p(theta | x): a density behind the prior's bijection, usable alone."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import equinox as eqx
import jax
import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field, ValidationError, field_validator

from raybayes.array_types import Array, Array32
from raybayes.density import Density, DensityConfig, Ensemble, skeleton
from raybayes.density.trees import arrays_of, part, tree_of
from raybayes.errors import InputError
from raybayes.inference.importance import Refined, importance
from raybayes.inference.mcmc import MOVES, McmcDraws, tempered
from raybayes.prior import Independent, Marginal, Prior, log_posterior, same, sampled
from raybayes.store import damaged, read_arrays, write_arrays

if TYPE_CHECKING:
    from xarray import DataTree


KIND = "posterior"
CUT = 100.0  # nats
TAKEN = frozenset({"chain", "draw", "observation"})  # dimensions of a DataTree
AT_ONCE = 1 << 15  # draws or thetas in memory together, and what their networks hold


class _Header(BaseModel):
    """What stands beside the weights of a saved posterior."""

    kind: Literal["posterior"]
    density: DensityConfig
    size: int = Field(gt=0)
    names: tuple[str, ...]
    prior: tuple[Marginal, ...] | None
    prior_sampled: tuple[tuple[float, ...], ...]
    made_by: dict[str, str]

    @field_validator("prior_sampled")
    @classmethod
    def _rectangular(cls, rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        if len({len(row) for row in rows}) != 1:
            raise ValueError("rows must be of one length")
        return rows


@dataclass(frozen=True)
class Posterior:
    """Draws and densities of theta given observations x; single ones or batches of them.

    Attributes:
        prior: of theta, with its names.
        density: q(z | x) on R^d.
        config: the density's architecture.
        size: the length of an observation.
        made_by: what made it (version, study hash, seed, packages).
    """

    prior: Prior
    density: Density
    config: DensityConfig
    size: int
    made_by: dict[str, str]

    def sample(self, x: ArrayLike, n: int, seed: int = 0) -> Array:
        """n draws of theta for each observation.

        Args:
            x: [bins] or [m, bins] counts.

        Returns:
            [n, d] or [m, n, d], inside the prior's box, in the parameters' units.

        Raises:
            InputError: x has the wrong length or is not finite.
        """
        n = int(n)  # an integer of NumPy's would be traced
        if n < 1:
            raise InputError(f"n = {n}: ask for at least one draw")
        values, single = self._observations(x)
        keys = jax.random.split(jax.random.key(seed), len(values))
        count = -(-n // AT_ONCE)
        each = -(-n // count)
        step = max(1, AT_ONCE // each)
        z = np.empty((len(values), count * each, self.prior.dim), np.float32)
        for rows, j in product(_blocks(len(values), step), range(count)):
            own = keys[rows]
            own = jax.vmap(lambda key, j=j: jax.random.fold_in(key, j))(own) if j else own
            block = _sample(self.density, values[rows], own, each)
            z[rows, j * each : (j + 1) * each] = block
        theta = self.prior.from_real(z[:, :n].astype(np.float64))
        return theta[0] if single else theta

    def log_prob(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """log q(theta | x) in nats per unit of theta; -inf outside the prior.

        Args:
            theta: [d] or [k, d]; for a batch of observations [m, d] or [m, k, d].
            x: [bins], or [m, bins] for a batch.

        Returns:
            theta's shape without its last axis.
        """
        values, single = self._observations(x)
        points = self._thetas(theta, None if single else len(values))
        shape = points.shape[:-1]
        k = math.prod(shape if single else shape[1:])
        points = points.reshape(len(values), k, self.prior.dim)
        inside = np.isfinite(self.prior.log_prob(points))
        safe = np.where(inside[..., None], points, self.prior.from_real(np.zeros(self.prior.dim)))
        z = self.prior.to_real(safe).astype(np.float32)
        log_q = np.empty((len(z), k))
        step = max(1, AT_ONCE // max(1, k))
        for here in product(_blocks(len(z), step), _blocks(k, AT_ONCE)):
            log_q[here] = _log_prob(self.density, z[here], values[here[0]])
        total = np.where(inside, log_q + self.prior.log_det_to_real(safe), -np.inf)
        return total.reshape(shape)

    def mean(self, x: ArrayLike, n: int = 1024, seed: int = 0) -> Array:
        """[d] or [m, d], of n draws; its standard error is sd / sqrt(n)."""
        return self.sample(x, n, seed).mean(axis=-2)

    def median(self, x: ArrayLike, n: int = 1024, seed: int = 0) -> Array:
        """[d] or [m, d], of n draws, each parameter by itself."""
        return np.median(self.sample(x, n, seed), axis=-2)

    def interval(
        self, x: ArrayLike, level: float = 0.68, n: int = 1024, seed: int = 0
    ) -> tuple[Array, Array]:
        """The central credible interval of each parameter, from n draws.

        Args:
            x: [size], or [m, size].
            level: the probability inside.

        Returns:
            low and high, [d] or [m, d], in the parameters' units.

        Raises:
            InputError: a level that is not between 0 and 1; or as `sample`.
        """
        if not 0 < level < 1:
            raise InputError(f"level = {level}: a credible interval needs a level between 0 and 1")
        draws = self.sample(x, n, seed)
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=-2)
        return low, high

    def to_datatree(self, x: ArrayLike, n: int = 1000, seed: int = 0) -> "DataTree":
        """n draws for ArviZ: groups posterior, sample_stats (lp) and observed_data.

        ArviZ 1 takes it as it is, ArviZ 0 through `arviz.from_datatree`. The draws are
        independent, so they stand as one chain.

        Args:
            x: [size], or [m, size] for a further dimension "observation".

        Raises:
            InputError: xarray is not installed, or it cannot hold a parameter's name.
        """
        try:
            from xarray import Dataset, DataTree
        except ImportError as error:
            raise InputError(
                "this export needs xarray; install it with: pip install 'raybayes[arviz]'"
            ) from error
        taken = TAKEN.intersection(self.prior.names) | {n for n in self.prior.names if "/" in n}
        if taken:
            raise InputError(
                f"a parameter called {', '.join(sorted(taken))} cannot stand in a DataTree, which "
                "takes the names of its dimensions and / for itself; rename it"
            )
        values = np.asarray(x, np.float64)
        draws = self.sample(values, n, seed)
        lp = np.moveaxis(self.log_prob(draws, values), -1, 0)[None]
        theta = np.moveaxis(draws, -2, 0)[None]
        batch = ["observation"] * (values.ndim - 1)
        dims = ("chain", "draw", *batch)
        posterior = {name: (dims, theta[..., i]) for i, name in enumerate(self.prior.names)}
        groups = {
            "posterior": Dataset(posterior, attrs=self.made_by),
            "sample_stats": Dataset({"lp": (dims, lp)}),
            "observed_data": Dataset({"x": ((*batch, "bin"), values)}),
        }
        return DataTree.from_dict(groups)

    def refine(
        self,
        x: ArrayLike,
        log_likelihood: Callable[[Array], Array],
        n: int = 10_000,
        seed: int = 0,
    ) -> Refined:
        """Correct this posterior at one observation by the simulator's exact likelihood.

        Importance sampling, Dax et al., arXiv 2210.05686.

        Args:
            x: [size].
            log_likelihood: theta [n, d] -> log p(x | theta) [n], in nats; see
                `JointSimulator.log_likelihood`.
            n: draws that are weighed.

        Returns:
            weighted draws, their effective sample size, Pareto k, and the evidence.

        Raises:
            InputError: more than one observation, a likelihood of another shape; or as `sample` and
                `raybayes.inference.importance.importance`.
        """
        theta = self.sample(x, n, seed)
        if theta.ndim != 2:
            raise InputError("refine takes one observation at a time; give x of one axis")
        log_prior, log_q = self.prior.log_prob(theta), self.log_prob(theta, x)
        likelihood = np.asarray(log_likelihood(theta), np.float64)
        if likelihood.shape != (len(theta),):
            raise InputError(
                f"log_likelihood gave {likelihood.shape} for {len(theta)} theta; it must give one "
                "number for each"
            )
        log_p = likelihood + log_prior
        # The probability that q < prior e^-t at a draw of q is below e^-t. Where it is far below,
        # the draw was cut at an end of the prior, and log q there is not that of the draw.
        return importance(theta, np.where(log_q > log_prior - CUT, log_p, -np.inf), log_q)

    def tempered(
        self,
        x: ArrayLike,
        log_likelihood: Callable[[Array], Array],
        refined: Refined,
        n: int = 4000,
        moves: int = MOVES,
        seed: int = 0,
        quiet: bool = True,
    ) -> McmcDraws:
        """n draws of equal weight, picked by their weights and parted by MCMC moves.

        As exact as the weights where these can be trusted; where not, through tempered densities
        from this posterior to the exact one; see `raybayes.inference.mcmc.tempered`.

        Args:
            x: [size]; log_likelihood: as for `refine`; refined: what `refine` found.
            n: draws; moves: MCMC moves of each by the exact posterior.
            quiet: no progress bar.

        Returns:
            theta [n, d] with their log density, and the share of accepted moves.

        Raises:
            InputError: less than 4 d draws are left.
        """
        log_p = log_posterior(self.prior, log_likelihood)
        return tempered(refined, log_p, lambda at: self.log_prob(at, x), n, moves, seed, quiet)

    @property
    def members(self) -> "tuple[Posterior, ...]":
        """The networks of an ensemble, each a posterior by itself."""
        if not isinstance(self.density, Ensemble):
            return (self,)
        alone = self.config.model_copy(update={"members": 1})
        return tuple(
            replace(self, density=part(self.density.members, i), config=alone)
            for i in range(self.density.count)
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and description to one safetensors file; nothing is pickled."""
        header = {
            "kind": KIND,
            "density": self.config.model_dump(mode="json"),
            "size": self.size,
            "names": list(self.prior.names),
            "prior": _described(self.prior),
            "prior_sampled": sampled(self.prior).tolist(),
            "made_by": self.made_by,
        }
        write_arrays(path, arrays_of(self.density), header)

    @classmethod
    def load(cls, path: str | os.PathLike[str], prior: Prior | None = None) -> "Posterior":
        """Read what `save` wrote; gives the same draws bit by bit.

        Args:
            prior: needed where it was one of your own, of which a file holds the names alone.

        Raises:
            InputError: the file is missing, damaged, or holds something else; or the prior is
                missing, or not the one of the file.
        """
        arrays, header = read_arrays(path)
        if header.get("kind") != KIND:
            raise InputError(f"{path}: this is not a saved posterior")
        try:
            found = _Header.model_validate(header)
            prior = prior or _prior(path, found)
        except ValidationError as error:
            raise InputError(
                f"{path}: its description is not one of this version of raybayes; use the one "
                "that wrote it, or train again"
            ) from error
        if tuple(prior.names) != found.names:
            raise InputError(f"{path}: was made with the parameters {', '.join(found.names)}")
        if not same(sampled(prior), found.prior_sampled):
            raise InputError(
                f"{path}: was made with another prior of the same names; give that one"
            )
        density = tree_of(arrays, _skeleton(Path(path), found, prior.dim, arrays), Path(path))
        return cls(prior, density, found.density, found.size, found.made_by)

    def _observations(self, x: ArrayLike) -> tuple[Array32, bool]:
        values = np.asarray(x, np.float64)
        if values.ndim not in (1, 2) or values.shape[-1] != self.size:
            raise InputError(
                f"the observation has shape {values.shape}; it must be [{self.size}] or "
                f"[n, {self.size}] counts"
            )
        with np.errstate(over="ignore"):
            counts = values.astype(np.float32)
        usable = np.isfinite(counts) | (np.isnan(counts) & self.config.missing)
        bad = np.argwhere(~usable)
        if len(bad):
            raise InputError(
                f"the observation is not finite in {len(bad)} places, the first at index "
                f"{[int(i) for i in bad[0]]}; mend or mask these counts first"
            )
        return np.atleast_2d(counts), values.ndim == 1

    def _thetas(self, theta: ArrayLike, m: int | None) -> Array:
        points = np.asarray(theta, np.float64)
        fits = points.ndim > 0 and points.shape[-1] == self.prior.dim
        if m is None:
            fits = fits and points.ndim <= 2
        else:
            fits = fits and points.ndim in (2, 3) and points.shape[0] == m
        if not fits:
            want = f"[{self.prior.dim}] or [k, {self.prior.dim}]"
            raise InputError(
                f"theta has shape {points.shape}; it must be {want}"
                + (f" for each of the {m} observations" if m is not None else "")
            )
        return points


def _blocks(n: int, most: int) -> list[slice]:
    """Of n rows, `most` at a time; all of one size, so that one compilation serves them."""
    size = min(n, most)
    starts = (min(i, n - size) for i in range(0, n, most))
    return [slice(i, i + size) for i in starts]


def _described(prior: Prior) -> list[dict] | None:
    if isinstance(prior, Independent):
        return [marginal.model_dump() for marginal in prior.marginals]
    return None


def _skeleton(path: Path, header: _Header, dim: int, arrays: Mapping[str, np.ndarray]) -> Density:
    """The network that a file describes; a description of one that is larger is not believed."""
    try:
        if header.size > sum(array.size for array in arrays.values()):
            raise ValueError("an observation is longer than all arrays")
        return skeleton(header.density, dim, header.size)
    except (ValueError, TypeError, ArithmeticError, MemoryError) as error:
        raise damaged(path, error) from error


def _prior(path: str | os.PathLike[str], header: _Header) -> Independent:
    if header.prior is None:
        raise InputError(f"{path}: was made with a prior of your own; give it to load(prior=...)")
    return Independent(header.names, header.prior)


@eqx.filter_jit
def _sample(density: Density, x: ArrayLike, keys: jax.Array, n: int) -> jax.Array:
    return jax.vmap(lambda one, key: density.sample(one, key, n))(x, keys)


@eqx.filter_jit
def _log_prob(density: Density, z: ArrayLike, x: ArrayLike) -> jax.Array:
    return jax.vmap(lambda zs, one: jax.vmap(lambda z: density.log_prob(z, one))(zs))(z, x)

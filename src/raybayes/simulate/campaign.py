"""A campaign fills a store with shards, here or on many machines.

A shard is a pure function of (campaign, index), and only whole shards have names. So it does
not matter who makes one, when, how often, or what is killed on the way.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.simulate.engines.protocol import Engine
from raybayes.simulate.failures import Failures, simulate_all
from raybayes.store import ANEW, Arrays, Store


class Proposal(Protocol):
    """Where the thetas come from: a prior."""

    def sample(self, n: int, rng: np.random.Generator) -> Array: ...


@dataclass(frozen=True)
class Campaign:
    """All that a worker needs.

    Attributes:
        size: bins of a profile.
        packages: whose versions stand in every shard, as the machine that made it has them.
    """

    engine: Engine
    proposal: Proposal
    store: Store
    failures: Failures
    seed: int
    size: int
    packages: tuple[str, ...]

    def shard(self, index: int, count: int) -> tuple[Arrays, dict[str, Any]]:
        """Theta from the prior and the expected profiles, less what failed; and notes of that."""
        theta = self.proposal.sample(count, np.random.default_rng((self.seed, index)))
        result = simulate_all(self.engine, theta, (0, index), self.size, self.failures)
        good = result.good
        arrays = {
            "theta": theta[good],
            "profile": result.profile[good],
            "transmission": result.transmission[good],
        }
        made_by = {name: metadata.version(name) for name in self.packages}
        return arrays, {**result.notes(theta), "made_by": made_by}

    def make(self, index: int) -> dict[str, Any]:
        """Write one shard unless it is there; its header."""
        return self.store.add(index, self.shard)[0]

    def run(
        self,
        shards: Iterable[int],
        progress: Callable[[dict[str, Any]], object] = lambda header: None,
    ) -> int:
        """Make what is missing of these shards, in this process; how many were made."""
        return self.store.fill(shards, self.shard, progress)


@dataclass
class Tally:
    """What became of simulations, summed over shards' headers."""

    simulations: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    lost: int = 0

    def add(self, header: dict[str, Any], shard_size: int) -> None:
        """One shard's.

        Raises:
            InputError: its header is none of a shard.
        """
        try:
            self._add(header, shard_size)
        except (LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"shard {header.get('shard')}: its notes are damaged; {ANEW}"
            ) from error

    def _add(self, header: dict[str, Any], shard_size: int) -> None:
        reasons = [each["reason"] for each in header.get("failed", ())]
        self.simulations += shard_size - len(reasons)
        self.failed.update(reasons)
        self.retried += header.get("retried", 0)
        self.lost += header.get("lost", 0)

    def sentences(self) -> list[str]:
        """What a person must know; none where all went well."""
        said = []
        if self.failed:
            total = self.failed.total()
            reasons = "; ".join(f"{n} x {reason}" for reason, n in self.failed.most_common(5))
            said.append(
                f"{total} of {total + self.simulations} simulations failed and are left out, so "
                f"the prior lacks their theta: {reasons}"
            )
        if self.retried:
            said.append(f"{self.retried} simulations were tried more than once")
        if self.lost:
            said.append(f"{self.lost} of {self.simulations} kept simulations have no light at all")
        return said


def tally(store: Store, shards: Iterable[int]) -> Tally:
    """Of these shards of a store, from their headers."""
    total = Tally()
    for header in store.headers(shards):
        total.add(header, store.shard_size)
    return total

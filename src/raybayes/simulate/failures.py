"""Simulations that fail: tried again, recorded with their reason, skipped or the end of it all."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.simulate.engines.protocol import Engine, Key

LONGEST = 200  # characters of a reason
NO_LIGHT = "no light on the detector"
NOT_FINITE = "the profile is not finite"
NEGATIVE = "the profile is negative in a bin"
ROUNDING = 1e-9  # of the peak: how far below zero an engine's arithmetic may put a bin


class Failures(BaseModel):
    """What becomes of a simulation that raises an error, gives NaN or loses the beam.

    A skipped theta is missing from the prior that the network sees, so skips are counted,
    reported, and limited.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    retries: int = Field(1, ge=0, description="with other random numbers")
    then: Literal["skip", "stop"] = "skip"
    at_most: float = Field(0.1, ge=0, le=1, description="share of a shard that may be skipped")
    lost_beam: Literal["keep", "fail"] = Field(
        "keep", description="a dark detector is an observation, or a failure"
    )

    def allowed(self, n: int) -> int:
        """How many of a shard of n may fail: one of a small one, but not the only one."""
        if self.then == "stop" or self.at_most == 0:
            return 0
        return max(int(self.at_most * n), min(1, n - 1))


@dataclass(frozen=True)
class Outcome:
    """What n simulations gave.

    Attributes:
        profile, transmission: [n, bins] and [n]; NaN where it failed.
        reasons: of each failure, by its row.
        retried: how many rows took more than one attempt.
        lost: how many of the good ones are dark.
    """

    profile: Array
    transmission: Array
    reasons: dict[int, str]
    retried: int
    lost: int

    @property
    def good(self) -> Bools:
        """[n]."""
        return ~np.isin(np.arange(len(self.profile)), list(self.reasons))

    def notes(self, theta: Array) -> dict[str, Any]:
        """For a shard's header."""
        failed = [
            {"row": row, "theta": theta[row].tolist(), "reason": reason}
            for row, reason in self.reasons.items()
        ]
        return {"failed": failed, "retried": self.retried, "lost": self.lost}


Row = tuple[Array, float, str]  # profile [bins], transmission, "" or why it failed


def simulate_all(engine: Engine, theta: Array, key: Key, size: int, rule: Failures) -> Outcome:
    """theta [n, d] -> profiles [n, size]: together where the engine can, else one by one.

    Raises:
        InputError: more simulations failed than the rule allows.
    """
    n = len(theta)
    allowed = rule.allowed(n)
    profile, transmission = np.full((n, size), np.nan), np.full(n, np.nan)
    reasons: dict[int, str] = {}
    retried = 0
    together = _together(engine, theta, key, rule) if engine.capabilities.batched else None
    for i in range(n):
        row = together[i] if together else _alone(engine, theta[i], (*key, 0, i), rule)
        for attempt in range(1, rule.retries + 1):
            if not row[2]:
                break
            retried += attempt == 1
            row = _alone(engine, theta[i], (*key, attempt, i), rule)
        if row[2]:
            reasons[i] = row[2]
            _stop_if_too_many(reasons, allowed, n, theta[i])
        else:
            profile[i], transmission[i] = row[:2]
    return Outcome(profile, transmission, reasons, retried, int((profile.sum(axis=1) <= 0).sum()))


def _together(engine: Engine, theta: Array, key: Key, rule: Failures) -> list[Row] | None:
    """All rows in one call; None where it raised: then each shows by itself whether it fails."""
    try:
        profiles, transmission = engine.profiles(theta, key)
    except Exception:
        return None
    pairs = zip(profiles, transmission, strict=True)
    return [(p, float(t), _verdict(p, float(t), rule)) for p, t in pairs]


def _alone(engine: Engine, theta: Array, key: Key, rule: Failures) -> Row:
    try:
        profiles, transmission = engine.profiles(theta[None], key)
    except Exception as error:  # whatever an engine raises is its reason, never a lost campaign
        return np.empty(0), np.nan, _sentence(error)
    return profiles[0], float(transmission[0]), _verdict(profiles[0], float(transmission[0]), rule)


def _verdict(profile: Array, transmission: float, rule: Failures) -> str:
    if not (np.isfinite(profile).all() and np.isfinite(transmission)):
        return NOT_FINITE
    if profile.min(initial=0.0) < -ROUNDING * profile.max(initial=0.0):
        return NEGATIVE
    dark = transmission <= 0 or profile.sum() <= 0
    return NO_LIGHT if dark and rule.lost_beam == "fail" else ""


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    named = text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
    return named[:LONGEST]


def _stop_if_too_many(reasons: dict[int, str], allowed: int, n: int, theta: Array) -> None:
    if len(reasons) > allowed:
        *_, reason = reasons.values()
        raise InputError(
            f"{len(reasons)} of {n} simulations failed, the last at theta {theta.tolist()}: "
            f"{reason}; mend it, narrow the prior, or change [failures] in the study"
        )

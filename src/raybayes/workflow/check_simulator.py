"""Is the simulator right on this very study: its expected profiles beside counted rays."""

import os
from typing import Any

from raybayes.errors import InputError
from raybayes.simulate.counted_check import TOLERANCE, Row, compare, count, enough_rays
from raybayes.simulate.engines.config import TracerConfig
from raybayes.study.parameters import spoken
from raybayes.study.plan import Plan


def check_simulator(name: str | os.PathLike[str], most: int) -> dict[str, Any]:
    """The table of `raybayes check-simulator`: a row per theta and setting.

    Args:
        most: counted rays for each theta, at most.

    Raises:
        InputError: the study does not use expected profiles.
    """
    plan, beamline = Plan.read(name)
    if not isinstance(plan.engine, TracerConfig) or plan.tracing.mode != "expected":
        raise InputError(
            f"study {plan.name}: it counts rays, or another engine traces it; there is no expected "
            "profile to check"
        )
    simulator = plan.simulator(beamline)
    points = count(simulator, plan.seed, most)
    rows = compare(simulator, points)
    bad = [row for row in rows if not row.good]
    return {
        "study": plan.name,
        "rays": plan.tracing.rays,
        "tolerance": TOLERANCE,
        "rows": [_described(row, plan) for row in rows],
        "worst": max(row.noise for row in rows),
        "good": not bad,
        "undecided": sum(row.undecided for row in rows),
        "dark": sum(row.dark for row in rows),
        "enough_rays": enough_rays(simulator, points) if bad else plan.tracing.rays,
        "sentence": max(bad, key=lambda row: row.noise).sentence if bad else "",
    }


def _described(row: Row, plan: Plan) -> dict[str, Any]:
    name, equals, value = row.point.at.partition(" = ")
    return {
        "at": f"{spoken(name)}{equals}{value}",
        "theta": dict(zip(plan.prior.names, row.point.theta.tolist(), strict=True)),
        "setting": row.point.setting + 1,
        "expected": row.transmission,
        "counted": row.point.transmission,
        "error": list(row.error),
        "noise": row.noise,
        "uncertainty": row.uncertainty,
        "lost_at": row.point.lost_at,
        "good": row.good,
        "undecided": row.undecided,
        "dark": row.dark,
    }

"""Is the simulator right on this very study: its expected profiles beside counted rays."""

import os
from typing import Any

from raybayes.errors import InputError
from raybayes.simulate.accuracy import choose
from raybayes.simulate.counted_check import Row, check_points
from raybayes.simulate.dark import dark
from raybayes.simulate.engines.config import TracerConfig
from raybayes.study.accuracy import Tell, described, place, refused, silent, too_dim
from raybayes.study.plan import Plan


def check_simulator(name: str | os.PathLike[str], most: int, tell: Tell = silent) -> dict[str, Any]:
    """The table of `raybayes check-simulator`: a row per theta and setting.

    The rays are those that `raybayes run` would choose.

    Args:
        most: counted rays for each theta, at most.
        tell: called with what is done, in words.

    Raises:
        InputError: the study does not use expected profiles.
    """
    plan, beamline = Plan.read(name)
    plan = plan.optics
    if not isinstance(plan.engine, TracerConfig) or plan.tracing.mode != "expected":
        raise InputError(
            f"study {plan.name}: it counts rays, or another engine traces it; there is no expected "
            "profile to check"
        )
    simulator = plan.simulator(beamline)
    points = len(check_points(simulator, plan.seed)[0]) * len(simulator.settings)
    accuracy = choose(simulator, plan.tracing, plan.seed, most * points, tell)
    chosen = simulator.traced(accuracy.tracing)
    lit = dark(chosen, plan.prior, plan.seed)
    return {
        "study": plan.name,
        "tracing": accuracy.tracing.model_dump(),
        "tolerance": plan.tracing.tolerance,
        "error": accuracy.error.variance,
        "transmission_error": accuracy.error.transmission,
        "shift": accuracy.error.shift,
        "widened": accuracy.tracing.noise,
        "rows": [_described(row, plan) for row in accuracy.rows],
        "worst": max(row.noise for row in accuracy.rows),
        "good": accuracy.good and not all(row.dark for row in accuracy.rows) and not too_dim(lit),
        "undecided": sum(row.undecided for row in accuracy.rows),
        "dark": sum(row.dark for row in accuracy.rows),
        "notes": [note for note in [described(lit)] if note],
        "sentence": refused(accuracy, plan) or too_dim(lit),
    }


def _described(row: Row, plan: Plan) -> dict[str, Any]:
    return {
        "at": place(row),
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
        "held": row.held,
    }

"""The rays of a study, chosen once and kept beside its simulations: OUT/simulator.json.

Whoever simulates into the same folder, here or on another machine, takes the same choice; so the
study, its seed and its folder determine every shard.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from raybayes.beamline.model import Beamline
from raybayes.errors import InputError
from raybayes.simulate.accuracy import Accuracy, choose
from raybayes.simulate.counted_check import Row
from raybayes.simulate.dark import Dark, dark
from raybayes.simulate.engines.config import TracerConfig
from raybayes.simulate.simulator import Tracing
from raybayes.store import damaged, make_folder, read_json, write_json
from raybayes.study.explained import explained
from raybayes.study.parameters import spoken
from raybayes.study.plan import DETERMINE, PACKAGES, Plan

FILE = "simulator.json"
SomePlan = TypeVar("SomePlan", bound=Plan)
Tell = Callable[[str], object]


def silent(sentence: str) -> None:
    """Where nobody asks."""


def said(sentence: str) -> None:
    """On stderr, beside the bars of progress."""
    print(sentence, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Proven:
    """What was found of a study's simulator before its first simulation.

    Attributes:
        asked: hash of the study as it was written.
        tracing: as chosen; error: of the simulator itself, as a share of the noise's variance.
        counted: the same by counted rays, at the theta `at` where it is worst, with its
            standard error.
        dark: what a person must know of theta that give no light; "" where all give some.
    """

    asked: str
    tracing: Tracing
    error: float
    counted: float
    uncertainty: float
    at: str
    dark: str

    @property
    def sentences(self) -> list[str]:
        """What a person must know."""
        return [self.sentence] + ([self.dark] if self.dark else [])

    @property
    def sentence(self) -> str:
        """How good the simulator is on this study."""
        if self.tracing.mode == "counting":
            return (
                f"The simulator counts {self.tracing.rays} rays; the likelihood is widened by "
                f"their noise, whose variance is {self.error:.2g} of that of the light"
            )
        words = (
            f"The simulator's own error: {max(self.error, 0):.1%} of the noise's variance with "
            f"{self.tracing.rays} rays; beside counted rays at worst "
            f"({self.counted:.1%} ± {self.uncertainty:.1%}), at {self.at}"
        )
        if self.counted + self.uncertainty > 2 * self.tracing.tolerance:
            words += ", which more counted rays may show to be too large (check-simulator --rays)"
        if self.tracing.noise:
            share = f"{self.tracing.noise:.0%} of the light's own variance"
            words += f"; the likelihood is widened by {share}"
        return words


_PROVEN = TypeAdapter(Proven)


def read_proven(folder: Path) -> Proven | None:
    """What the folder's simulations were made with; None where nothing is kept.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    found = read_json(path)
    found.pop("made_by", None)
    try:
        return _PROVEN.validate_python(found)
    except ValidationError as error:
        raise damaged(path, explained(error)) from error


def write_proven(proven: Proven, folder: Path) -> None:
    """Keep it beside the simulations; what is there of the same study stays.

    A folder without simulations may hold the choice of another study, which this one replaces.
    """
    kept = read_proven(folder)
    if kept is not None and kept.asked == proven.asked:
        return
    make_folder(folder)
    made_by = {name: metadata.version(name) for name in PACKAGES}
    write_json(folder / FILE, {**_PROVEN.dump_python(proven), "made_by": made_by})


def proven(
    plan: SomePlan, beamline: Beamline, folder: Path, tell: Tell = silent
) -> tuple[SomePlan, Proven | None]:
    """The study with rays that are enough, and how that is known; None for other engines.

    Args:
        folder: where the choice may be kept already.
        tell: called with what is done, in words.

    Raises:
        InputError: no number of rays is enough, with the theta and what to do.
    """
    if not isinstance(plan.engine, TracerConfig):
        return plan, None
    asked, kept = plan.identity(beamline, *DETERMINE), read_proven(folder)
    if kept is not None and asked in (kept.asked, _with(plan, kept).identity(beamline, *DETERMINE)):
        return _with(plan, kept), kept
    found = prove(plan, beamline, asked, tell)
    return _with(plan, found), found


def _with(plan: SomePlan, proven: Proven) -> SomePlan:
    return plan.model_copy(update={"tracing": proven.tracing})


def prove(plan: Plan, beamline: Beamline, asked: str, tell: Tell = silent) -> Proven:
    """Choose the rays and test them, whatever is kept.

    Raises:
        InputError: as `proven`.
    """
    found, trouble = examined(plan, beamline, asked, tell)
    if trouble:
        raise InputError(f"study {plan.name}: {trouble}")
    return found


def examined(plan: Plan, beamline: Beamline, asked: str, tell: Tell = silent) -> tuple[Proven, str]:
    """What `prove` finds, and why no likelihood can be built on it; "" where one can."""
    optics = plan.optics
    simulator = optics.simulator(beamline)
    accuracy = choose(simulator, plan.tracing, plan.seed, tell=tell)
    worst = accuracy.worst
    lit = dark(simulator.traced(accuracy.tracing), optics.prior, plan.seed)
    found = Proven(
        asked,
        accuracy.tracing,
        accuracy.error.variance,
        worst.noise,
        worst.uncertainty,
        place(worst),
        described(lit),
    )
    return found, refused(accuracy, plan) or too_dim(lit)


def place(row: Row) -> str:
    """At which theta, with the parameter as it is spoken."""
    name, equals, value = row.point.at.partition(" = ")
    return f"{spoken(name)}{equals}{value}"


def refused(accuracy: Accuracy, plan: Plan) -> str:
    """Why no likelihood can be built on the simulator, and what to do; "" where one can.

    It is off too far: where, what walks the beam there, and what lessens it. Or no light lands in
    the bins anywhere.
    """
    if all(row.dark for row in accuracy.rows):
        lost = sorted({row.point.lost_at for row in accuracy.rows} - {""})
        return (
            "no light lands in the detector's bins, at the prior's middle, ends and corners alike "
            f"(it is lost at {'; '.join(lost)}); move the prior or the detector: `raybayes trace "
            "--theta` shows where a beam goes"
        )
    if accuracy.good:
        return ""
    worst, photons = accuracy.worst, max(d.photons for d in plan.detectors.each)
    error, tolerance = max(worst.noise, accuracy.error.variance), plan.tracing.tolerance
    lost_at = f", where most of the light is lost at {worst.point.lost_at}"
    narrow = "" if worst.point.at.startswith("the middle") else ", a prior that ends before it"
    return (
        f"the simulator's own error is {error:.2g} times the variance of the detector's noise at "
        f"{place(worst)}{lost_at if worst.point.lost_at else ''} (at most {tolerance:g} is sought) "
        f"with {accuracy.tracing.rays} rays; what helps: wider bins, fewer photons (the error is "
        f"within at about {photons * tolerance / error:.1g} of them){narrow}, or [tracing] mode = "
        f'"counting" with rays = {10 * photons:.0f}'
    )


def too_dim(found: Dark) -> str:
    """Why nothing can be learned anywhere in the prior, though light arrives; "" where it can."""
    return described(found) if found.share == 1 and found.enough else ""


def described(found: Dark) -> str:
    """In words: what of the prior gives no light, and what to do."""
    if found.share == 0:
        return ""
    words = f"{found.share:.0%} of the prior gives no light"
    if found.enough:
        words = f"{found.share:.0%} of the prior gives less than a photon in a profile"
    if not found.name:
        brighter = f"raise photons of [detector] to {found.enough:.1g} at least, or "
        return f"{words}; {brighter if found.enough else ''}narrow the prior"
    lost = f" (it is lost at {found.lost_at})" if found.lost_at else ""
    return (
        f"{words}{lost}; {spoken(found.name)} takes it: narrow {found.name} to "
        f"{found.low:.3g} .. {found.high:.3g}"
    )

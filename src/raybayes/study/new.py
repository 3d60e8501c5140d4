"""A new study from a beamline's file: which parameters vary, and a detector that sees the beam."""

import json
import os
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.model import Beamline
from raybayes.beamline.trace import Rays, trace_compiled
from raybayes.errors import InputError
from raybayes.simulate.dark import to_blame
from raybayes.store import write_whole
from raybayes.study.accuracy import Proven, Tell, examined, silent
from raybayes.study.parameters import unit_of
from raybayes.study.plan import Plan

THETAS, RAYS = 32, 2000  # from the prior, of a trial
COVERED = (0.001, 0.999)  # of the rays of each beam of the trial lie on the detector
BINS = 100
PSF = 0.003  # mm, rms
PEAK = 1000  # counts
COUNTED = (20_000, 1_000_000)  # rays, where no splat can be


@dataclass(frozen=True)
class Varied:
    """One parameter that varies, uniform from low to high in the file's unit."""

    name: str
    low: float
    high: float

    @classmethod
    def of(cls, beamline: Beamline, name: str, span: str) -> "Varied":
        """From texts such as "M4.rotationXerror" and "-0.06..0.06".

        Raises:
            InputError: an unknown parameter, one that nothing depends on, or no range.
        """
        low, dots, high = span.partition("..")
        try:
            varied = cls(name, float(low), float(high))
        except ValueError:
            raise InputError(
                f"{name}={span}: give the range as LOW..HIGH, as -0.06..0.06"
            ) from None
        if (
            not dots
            or not np.isfinite([varied.low, varied.high]).all()
            or varied.low >= varied.high
        ):
            raise InputError(f"{name}={span}: a range goes from a lower to a higher number")
        compile_beamline(beamline, [name], [[varied.low], [varied.high]])
        element, id_ = beamline.find(name)
        if not varied.low <= element.number(id_) <= varied.high:
            warnings.warn(
                f"{name}: the file has {element.number(id_):g}, which is not in the range {span}; "
                "a range is of the value itself, not of its change",
                stacklevel=2,
            )
        if id_.startswith("distance") and varied.low < 0:
            warnings.warn(
                f"{name}: below 0 the element stands before the one that precedes it",
                stacklevel=2,
            )
        return varied


def study_text(
    beamline: Beamline,
    name: str,
    file: str,
    varied: Sequence[Varied],
    chosen: Sequence[str] = (),
) -> str:
    """The text of a study, commented, and checked.

    Args:
        file: the beamline's, as seen from the study.
        chosen: lines of the table [tracing].
    """
    if not varied:
        raise InputError("no parameter varies; give one, as --vary M4.rotationXerror=-0.06..0.06")
    width, share = _beam(beamline, varied)
    photons = float(f"{PEAK / share:.1g}")
    reason = counted_reason(beamline)
    lines = [
        f"name = {_text(name)}",
        f"beamline = {_text(file)}",
        *(["allow_unmodelled = true  # see its warnings"] if beamline.lenient else []),
        "seed = 0",
        "simulations = 20000",
        "",
        "# ELEMENT.PARAMETER = [low, high] of a uniform prior, in RAY-UI's units; or",
        '# {kind = "normal", mean = 0, sd = 0.02}, truncated_normal, log_uniform, log_normal.',
        "[parameters]",
        *(_line(beamline, each) for each in varied),
        "# Over the photons below, which nobody knows well; it costs no simulations.",
        '"detector.flux" = {kind = "log_normal", mean = 0, sd = 0.2}',
        "",
        "[detector]",
        'reads = "profiles"  # one along x and one along y; or "image"',
        f"bins = [{BINS}, {BINS}]  # horizontal, vertical",
        f"bin_width = [{width[0]:g}, {width[1]:g}]  # mm; holds the beam everywhere in the prior",
        f"psf = [{PSF:g}, {PSF:g}]  # rms point spread, mm",
        f"photons = {photons:g}  # emitted per exposure; some {PEAK} counts in the highest bin",
        "background = 10.0  # counts per bin",
        "read_noise = 5.0  # counts rms per bin",
    ]
    if reason:
        lines += ["", "[tracing]", f'mode = "counting"  # {reason}', f"rays = {_counted(photons)}"]
    lines += chosen
    lines += [
        "",
        "[density]  # autoregressive mixtures in the prior's box",
        'kind = "rnade"',
        "",
        "[training]",
        'optimiser = "muon"',
        "batch = 512",
        "learning_rate = 8e-3",
        "epochs = 50",
        "patience = 50",
    ]
    text = "\n".join([*lines, ""])
    plan = Plan(**tomllib.loads(text))
    plan.engine.check(plan.optics.scene(beamline))
    return text


def _counted(photons: float) -> int:
    """Rays whose noise is a tenth of the light's, within limits."""
    return int(np.clip(10 * photons, *COUNTED))


def _text(text: str) -> str:
    """As TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(beamline: Beamline, varied: Varied) -> str:
    element, id_ = beamline.find(varied.name)
    comment = (
        f"{unit_of(beamline, varied.name)}; {element.type}, in the file {element.number(id_):g}"
    )
    return f"{_text(varied.name)} = [{varied.low!r}, {varied.high!r}]  # {comment}"


def counted_reason(beamline: Beamline) -> str:
    """Why its rays cannot be splats; "" where they can."""
    if beamline.source.type == "Matrix Source":
        return "a Matrix Source has as many points as there are rays"
    if any(element.number("additionalOrder") == 1 for element in beamline.elements):
        return "of two orders of a grating each ray takes one by chance"
    return ""


def _beam(beamline: Beamline, varied: Sequence[Varied]) -> tuple[tuple[float, float], float]:
    """The bins' widths (mm) that hold the beam, and the share of the light in the highest one."""
    rng = np.random.default_rng(0)
    low, high = (np.array([getattr(each, end) for each in varied]) for end in ("low", "high"))
    # Half of them inside, half at corners, where the beam is furthest off.
    inside = np.where(
        np.arange(THETAS)[:, None] % 2,
        rng.uniform(size=(THETAS, len(varied))),
        rng.integers(0, 2, (THETAS, len(varied))),
    )
    theta = low + (high - low) * inside
    compiled = compile_beamline(beamline, [each.name for each in varied], theta)
    traced = [trace_compiled(beamline, compiled, i, RAYS, None, i, "sobol") for i in range(THETAS)]
    lit = [rays for rays in traced if rays.arrived.any()]
    if sum(len(rays.x) for rays in lit) < THETAS:
        raise InputError(
            f"only {sum(len(rays.x) for rays in lit)} of {THETAS * RAYS} rays arrive at "
            f"{compiled.names[-1]}{_advice(traced, theta, varied)}"
        )
    bin_width = (_width([rays.x for rays in lit]), _width([rays.y for rays in lit]))
    x, y, weight = (
        np.concatenate([getattr(rays, part) for rays in lit]) for part in ("x", "y", "weight")
    )
    counts = [
        np.histogram(places, (np.arange(BINS + 1) - BINS / 2) * width, weights=weight)[0].max()
        for places, width in zip((x, y), bin_width, strict=True)
    ]
    return bin_width, float(max(counts)) / (THETAS * RAYS)


def _advice(traced: Sequence[Rays], theta: Array, varied: Sequence[Varied]) -> str:
    """Where the light is lost, and which range to narrow to what."""
    where = np.concatenate([rays.lost_at[~rays.arrived] for rays in traced])
    names, counts = np.unique(where, return_counts=True)
    most = "all" if counts.sum() == THETAS * RAYS and len(names) == 1 else "most"
    lost = f": {most} are lost at {names[counts.argmax()]}" if len(names) else ""
    blamed = to_blame(theta, np.array([bool(rays.arrived.any()) for rays in traced]))
    if blamed is None:
        return f"{lost}; narrow the ranges, or see by `raybayes trace --scan` where light passes"
    j, low, high = blamed
    return f"{lost}; narrow {varied[j].name} to about {low:.3g} .. {high:.3g}"


def _width(beams: Sequence[Array]) -> float:
    """Of bins (mm) that hold all beams, each with its own tails, and are not finer than the psf."""
    reach = max(np.abs(np.quantile(places, COVERED)).max() for places in beams)
    return float(f"{max(2.4 * reach / BINS, PSF):.2g}")


def write_study(
    beamline: Beamline, file: Path, varied: Sequence[Varied], out: Path, tell: Tell = silent
) -> tuple[Proven, str]:
    """Write the study, with as many rays as it needs; a file that is there is not replaced.

    Returns:
        how good the simulator is on it, and why it must be changed before it runs; "" where it
        must not.

    Raises:
        InputError: the study cannot be, almost no light arrives, or the file is there.
    """
    if out.exists():
        raise InputError(f"{out}: is there already; choose another --out")
    relative = os.path.relpath(file.resolve(), out.resolve().parent)
    plan = Plan(**tomllib.loads(study_text(beamline, out.stem, relative, varied)))
    found, trouble = examined(plan, beamline, "", tell)
    tracing = [] if trouble else _tracing(plan, found)
    text = study_text(beamline, out.stem, relative, varied, tracing)
    write_whole(out, text.encode())
    return found, trouble


def _tracing(plan: Plan, found: Proven) -> list[str]:
    """The table [tracing] of what was chosen; nothing where it is what a study has by default."""
    if found.tracing == plan.tracing:
        return []
    keys = found.tracing.model_dump(exclude={"mode"})
    comment = f"  # its error is {max(found.error, 0):.1%} of the noise's variance"
    return ["", "[tracing]" + comment, *(f"{key} = {value}" for key, value in keys.items())]

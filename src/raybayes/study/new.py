"""A new study from a beamline's file: which parameters vary, and a detector that sees the beam."""

import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.model import Beamline
from raybayes.beamline.trace import trace_compiled
from raybayes.errors import InputError
from raybayes.store import write_whole
from raybayes.study.parameters import unit_of
from raybayes.study.plan import Plan

THETAS, RAYS = 32, 2000  # from the prior, of a trial
COVERED = (0.001, 0.999)  # of all rays of the trial lie on the detector
BINS = 100
PEAK = 1000  # counts
COUNTED = 20_000  # rays, of a source that cannot be a splat


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
        return varied


def study_text(beamline: Beamline, name: str, file: str, varied: Sequence[Varied]) -> str:
    """The text of a study, commented, and checked.

    Args:
        file: the beamline's, as seen from the study.
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
        "",
        "[detector]",
        'reads = "profiles"  # one along x and one along y; or "image"',
        f"bins = [{BINS}, {BINS}]  # horizontal, vertical",
        f"bin_width = [{width[0]:g}, {width[1]:g}]  # mm; holds the beam everywhere in the prior",
        "psf = [0.003, 0.003]  # rms point spread, mm",
        f"photons = {photons:g}  # emitted per exposure; some {PEAK} counts in the highest bin",
        "background = 10.0  # counts per bin",
        "read_noise = 5.0  # counts rms per bin",
    ]
    if reason:
        lines += [
            "",
            "[tracing]",
            f'mode = "counting"  # {reason}',
            f"rays = {COUNTED}",
        ]
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
    plan.engine.check(plan.scene(beamline))
    return text


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
    theta = low + (high - low) * rng.uniform(size=(THETAS, len(varied)))
    compiled = compile_beamline(beamline, [each.name for each in varied], theta)
    traced = [trace_compiled(beamline, compiled, i, RAYS, None, i, "sobol") for i in range(THETAS)]
    x, y, weight = (
        np.concatenate([getattr(rays, part) for rays in traced]) for part in ("x", "y", "weight")
    )
    if len(x) < THETAS:
        raise InputError(
            f"only {len(x)} of {THETAS * RAYS} rays arrive at {compiled.names[-1]}; narrow the "
            "ranges, or trace the beamline with `raybayes trace` to see where they are lost"
        )
    reach = [np.abs(np.quantile(places, COVERED)).max() for places in (x, y)]
    bin_width = [float(f"{max(2.4 * each / BINS, 1e-4):.2g}") for each in reach]
    counts = [
        np.histogram(places, (np.arange(BINS + 1) - BINS / 2) * width, weights=weight)[0].max()
        for places, width in zip((x, y), bin_width, strict=True)
    ]
    return (bin_width[0], bin_width[1]), float(max(counts)) / (THETAS * RAYS)


def write_study(beamline: Beamline, file: Path, varied: Sequence[Varied], out: Path) -> None:
    """Write the study beside nothing else: a file that is there is not replaced."""
    if out.exists():
        raise InputError(f"{out}: is there already; choose another --out")
    relative = os.path.relpath(file.resolve(), out.resolve().parent)
    write_whole(out, study_text(beamline, out.stem, relative, varied).encode())

"""raybayes infer, refine and fit: what a measurement says of the parameters."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from raybayes.cli.frame import (
    JSON,
    OUT,
    STUDY,
    TRUST,
    app,
    bundled,
    one_sentence,
    prepare_jax,
    say,
    warnings_as_sentences,
)
from raybayes.cli.reading import ReadingOptions

RUN = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
FILES = Annotated[
    list[Path],
    typer.Argument(
        help="One image or list of counts, or a horizontal and a vertical profile: text, "
        "CSV, NumPy, HDF5, NeXus, PNG, TIFF, BMP. Of several settings, of each in their order."
    ),
]
TO = Annotated[Path | None, typer.Option("--to", help="Folder of the results; default: in OUT.")]
SEED = Annotated[
    int, typer.Option("--seed", min=0, max=(1 << 32) - 1, help="The same seed, the same draws.")
]


@dataclass(frozen=True)
class RefiningOptions:
    """How much work a refinement is."""

    n: Annotated[int, typer.Option("-n", min=200, metavar="DRAWS", help="That are weighed.")] = (
        10_000
    )
    moves: Annotated[
        int, typer.Option("--moves", min=0, help="MCMC moves of the file's draws, to part them.")
    ] = 30
    seed: SEED = 0


@app.command()
@bundled
def infer(
    out: RUN,
    files: FILES,
    reading: ReadingOptions,
    to: TO = None,
    seed: SEED = 0,
    trust_engine: TRUST = False,
    as_json: JSON = False,
) -> None:
    """What a measurement says of the parameters, by the posterior that a run has trained.

    Options stand in the study's table [observation] too; those given here come before them.
    """
    with one_sentence(), warnings_as_sentences():
        prepare_jax()
        from raybayes.workflow.infer import infer_files

        result = infer_files(out, files, to, reading.changes(), seed, trust_engine)
        say(result, as_json, _inferred(result))


@app.command()
@bundled
def refine(
    out: RUN,
    files: FILES,
    refining: RefiningOptions,
    reading: ReadingOptions,
    to: TO = None,
    trust_engine: TRUST = False,
    as_json: JSON = False,
) -> None:
    """As infer, with the draws weighed by the exact likelihood.

    Says how far the weights can be trusted, and when the network was too narrow for them. The
    draws of the file and the page are picked by their weights and parted by MCMC moves.
    """
    with one_sentence(), warnings_as_sentences():
        prepare_jax()
        from raybayes.workflow.refine import Refining, refine_files

        work = Refining(**asdict(refining))
        result = refine_files(out, files, to, reading.changes(), work, as_json, trust_engine)
        say(result, as_json, _refined(result))


@app.command()
@bundled
def fit(
    study: STUDY,
    files: FILES,
    reading: ReadingOptions,
    out: OUT,
    to: TO = None,
    seed: SEED = 0,
    as_json: JSON = False,
) -> None:
    """What a measurement says of the parameters, without training anything.

    Climbs to the modes, simulates about them and weighs draws by the exact likelihood. Takes
    seconds to minutes for each measurement; for many of them train a network (run, then infer).
    """
    with one_sentence(), warnings_as_sentences():
        prepare_jax()
        from raybayes.workflow.fit import fit_files

        result = fit_files(study, files, out, to, reading.changes(), seed, as_json)
        say(result, as_json, _fitted(result))


def _fitted(result: dict[str, Any]) -> Iterator[str]:
    yield from _opening(result)
    yield from _table(result)
    modes = result["modes"]
    yield f"{len(modes)} mode{'s' * (len(modes) > 1)}, the largest first:"
    for mode in modes:
        values = ", ".join(f"{name} {value:.4g}" for name, value in mode["theta"].items())
        ends = f"; at an end of the prior: {', '.join(mode['at_an_end'])}" * bool(mode["at_an_end"])
        yield f"{mode['share']:6.1%} chi² per bin {mode['chi2_per_bin']:.3g}: {values}{ends}"
    yield result["sentence"]
    yield f"log evidence {result['log_evidence']:.2f} ± {result['standard_error']:.2g} nat"
    yield from _closing(result)


def _inferred(result: dict[str, Any]) -> Iterator[str]:
    yield from _opening(result)
    yield from _table(result)
    yield from _closing(result)


def _table(result: dict[str, Any]) -> Iterator[str]:
    """A row per parameter."""
    rows = result["parameters"]
    width = max(len(row["parameter"]) for row in rows)
    yield f"{'parameter':{width}}       mean     median         sd        68 % interval  unit"
    for row in rows:
        yield (
            f"{row['parameter']:{width}} {row['mean']:10.4g} {row['median']:10.4g} "
            f"{row['sd']:10.3g} {row['low']:9.4g} .. {row['high']:8.4g}  {row['unit']}"
        )
        yield from _modes(row, width)


def _refined(result: dict[str, Any]) -> Iterator[str]:
    yield from _opening(result)
    rows = result["parameters"]
    width = max(len(row["parameter"]) for row in rows)
    columns = "      mean         sd        68 % interval"
    yield f"{'':{width}} {'by the exact likelihood':42} by the network"
    yield f"{'parameter':{width}} {columns:42} {columns}  unit"
    for row in rows:
        both = " ".join(
            f"{each['mean']:10.4g} {each['sd']:10.3g} {each['low']:9.4g} .. {each['high']:8.4g}"
            for each in (row, row["network"])
        )
        yield f"{row['parameter']:{width}} {both}  {row['unit']}"
        yield from _modes(row, width)
    yield result["sentence"]
    yield f"log evidence {result['log_evidence']:.2f} ± {result['standard_error']:.2g} nat"
    yield from _closing(result)


def _opening(result: dict[str, Any]) -> Iterator[str]:
    """What was measured and done to it, and what speaks against the numbers, before any of them."""
    yield from result["picture"]
    yield from (f"- {sentence}" for sentence in result["done"])
    yield f"{'the beam':28}   measured  predicted           90 % of it  unit"
    for row in result["beam"]:
        name = " ".join(filter(None, (row["setting"], row["name"])))
        band = f"{row['low']:9.4g} .. {row['high']:8.4g}"
        yield f"{name:28} {row['measured']:10.4g} {row['predicted']:10.4g} {band}  {row['unit']}"
    yield from (f"ALARM: {alarm}" for alarm in result["alarms"])


def _modes(row: dict[str, Any], width: int) -> Iterator[str]:
    """A parameter of several modes: no draw may lie at its mean."""
    for mode in row["modes"]:
        yield (
            f"{'':{width}} {mode['share']:4.0%} of it about {mode['mean']:.4g} ± {mode['sd']:.2g}, "
            f"{mode['low']:.4g} .. {mode['high']:.4g}  {row['unit']}"
        )


def _closing(result: dict[str, Any]) -> Iterator[str]:
    yield from (f"{key}: {path}" for key, path in result["written"].items())

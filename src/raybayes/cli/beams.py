"""raybayes trace and show: a beamline at one theta, in numbers and pictures."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raybayes.cli.frame import ALLOW, JSON, app, bundled, one_sentence, say, warnings_as_sentences
from raybayes.errors import InputError

if TYPE_CHECKING:
    from raybayes.beamline.probe import Probe
    from raybayes.beamline.scan import Range
    from raybayes.beamline.trace import Rays


@dataclass(frozen=True)
class TraceOptions:
    """Which rays, how far, by which rules."""

    rays: Annotated[
        int | None, typer.Option("--rays", help="How many; default: as in the file.")
    ] = None
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same rays.")] = 0
    plane: Annotated[
        str | None, typer.Option("--plane", help="An element's name; default: the last one.")
    ] = None
    slit_diffraction: Annotated[
        bool, typer.Option("--slit-diffraction", help="Let slits diffract, as in RAY-UI.")
    ] = False
    allow_unmodelled: ALLOW = False


@dataclass(frozen=True)
class Ways:
    """Of setting parameters, and of looking at more than one plane."""

    theta: Annotated[
        list[str] | None,
        typer.Option("--theta", metavar="NAME=VALUE", help="Set a parameter; may be repeated."),
    ] = None
    scan: Annotated[
        str | None,
        typer.Option(
            "--scan", metavar="NAME=LOW..HIGH:POINTS", help="Trace at each value; a table (CSV)."
        ),
    ] = None
    caustic: Annotated[
        float | None,
        typer.Option("--caustic", metavar="MM", help="Widths within +-MM, and the waist."),
    ] = None


@dataclass(frozen=True)
class TraceFiles:
    """Where tables and pictures go."""

    table: Annotated[
        Path | None, typer.Option("--table", help="Write the rays as RAY-UI's table (CSV).")
    ] = None
    spot: Annotated[
        Path | None, typer.Option("--spot", help="Write a picture of the spot or footprint (PNG).")
    ] = None
    layout: Annotated[
        Path | None, typer.Option("--layout", help="Write a picture of the beamline (PNG).")
    ] = None
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the table of --scan or --caustic (CSV).")
    ] = None
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write a picture of --scan or --caustic (PNG).")
    ] = None


@app.command()
@bundled
def trace(
    file: Annotated[Path, typer.Argument(help="A beamline: RAY-UI's RML file.")],
    options: TraceOptions,
    ways: Ways,
    files: TraceFiles,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON; mm, rad, eV.")
    ] = False,
) -> None:
    """Trace a beamline and say what arrives; RAY-UI's RawRaysOutgoing with --table."""
    with one_sentence(), warnings_as_sentences():
        _check(ways, files)
        probe, span = _probe(file, options, ways)
        if files.layout is not None:
            from raybayes.beamline.pictures import layout_picture, save

            save(layout_picture(probe.beamline), files.layout)
        if span is not None:
            _scan(probe, span, options, files, as_json)
        else:
            _one(probe, ways, files, as_json)


def _check(ways: Ways, files: TraceFiles) -> None:
    """Options that do not go together."""
    if ways.scan is not None and ways.caustic is not None:
        raise InputError("--scan and --caustic: give one of them")
    if ways.scan is not None and (files.table is not None or files.spot is not None):
        raise InputError("--table and --spot show one theta, --scan traces many: leave them out")
    alone = ways.scan is None and ways.caustic is None
    if alone and (files.out is not None or files.plot is not None):
        raise InputError("--out and --plot are of --scan or --caustic: give one of these, too")


def _probe(file: Path, o: TraceOptions, ways: Ways) -> "tuple[Probe, Range | None]":
    from raybayes.beamline.derive import with_values
    from raybayes.beamline.probe import Probe, check_names
    from raybayes.beamline.rml import read_rml
    from raybayes.beamline.scan import Range

    beamline = read_rml(file, unmodelled="warn" if o.allow_unmodelled else "error")
    theta = _values(ways.theta or ())
    span = None if ways.scan is None else Range.of(ways.scan)
    check_names(beamline, [*theta, *([] if span is None else [span.name])])
    beamline = with_values(beamline, theta) if theta else beamline
    return Probe.of(beamline, o.rays, o.plane, o.seed, o.slit_diffraction), span


def _scan(probe: "Probe", span: "Range", o: TraceOptions, files: TraceFiles, as_json: bool) -> None:
    from raybayes.beamline.pictures import save
    from raybayes.beamline.plots import scan_picture
    from raybayes.beamline.scan import scan
    from raybayes.store import write_whole

    found = scan(probe, span, o.slit_diffraction)
    if files.out is not None:
        write_whole(files.out, found.csv().encode())
    if files.plot is not None:
        save(scan_picture(found), files.plot)
    columns = {name: column.tolist() for name, column in found.columns.items()}
    result = {"plane": found.plane, "scan": found.name, "unit": found.unit, "columns": columns}
    say(result, as_json, iter(found.csv().splitlines()))


def _one(probe: "Probe", ways: Ways, files: TraceFiles, as_json: bool) -> None:
    from raybayes.beamline.beam import answer, numbers, summary
    from raybayes.beamline.pictures import save, spot_diagram
    from raybayes.beamline.table import write_table

    found = answer(probe)
    if files.table is not None:
        write_table(found.traced, files.table)
    if files.spot is not None:
        save(spot_diagram(found.traced), files.spot)
    result, lines = numbers(found), summary(found)
    if ways.caustic is not None:
        more, said = _caustic(probe, found.traced, ways.caustic, files)
        result, lines = result | more, lines | said
    say(result, as_json, (f"{name:14} {text}" for name, text in lines.items()))


def _caustic(
    probe: "Probe", rays: "Rays", reach: float, files: TraceFiles
) -> tuple[dict[str, Any], dict[str, str]]:
    from raybayes.beamline.caustic import caustic, caustic_csv, caustic_lines, caustic_numbers
    from raybayes.beamline.pictures import save
    from raybayes.beamline.plots import caustic_picture
    from raybayes.store import write_whole

    found = caustic(probe, rays, reach)
    if files.out is not None:
        write_whole(files.out, caustic_csv(found).encode())
    if files.plot is not None:
        save(caustic_picture(found), files.plot)
    return {"caustic": caustic_numbers(found)}, caustic_lines(found)


@app.command()
def show(
    study: Annotated[str, typer.Argument(help="A study, or a beamline's RML file.")],
    picture: Annotated[Path, typer.Option("--picture", help="Where it goes (PNG).")],
    theta: Annotated[
        list[str] | None, typer.Option("--theta", metavar="NAME=VALUE", help="Set a parameter.")
    ] = None,
    allow_unmodelled: ALLOW = False,
    as_json: JSON = False,
) -> None:
    """Draw a beamline, with what is misaligned in red, and say where its elements stand."""
    with one_sentence(), warnings_as_sentences():
        from raybayes.beamline.derive import with_values
        from raybayes.beamline.pictures import along, layout_picture, save
        from raybayes.beamline.probe import check_names
        from raybayes.beamline.rml import read_rml
        from raybayes.study.plan import Plan

        is_file = study.lower().endswith(".rml")
        how: Any = "warn" if allow_unmodelled else "error"
        beamline = read_rml(study, how) if is_file else Plan.read(study)[1]
        values = _values(theta or ())
        check_names(beamline, [*values])
        beamline = with_values(beamline, values)
        save(layout_picture(beamline), picture)
        elements = along(beamline)
        lines = (
            f"{e['name']:10} {e['type']:16} {e['mm']:10.1f} mm  {e['misaligned']}".rstrip()
            for e in elements
        )
        say({"picture": str(picture), "elements": elements}, as_json, lines)


def _values(texts: Iterable[str]) -> dict[str, float]:
    values = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise InputError(
                f"--theta {text}: give NAME=VALUE, as M4.rotationXerror=0.02"
            ) from None
    return values

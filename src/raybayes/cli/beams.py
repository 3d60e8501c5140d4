"""raybayes trace and show: a beamline at one theta, in numbers and pictures."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raybayes.cli.frame import ALLOW, JSON, app, bundled, one_sentence, say, warnings_as_sentences
from raybayes.errors import InputError

if TYPE_CHECKING:
    from raybayes.beamline.model import Beamline
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


@app.command()
@bundled
def trace(
    file: Annotated[Path, typer.Argument(help="A beamline: RAY-UI's RML file.")],
    options: TraceOptions,
    table: Annotated[
        Path | None, typer.Option("--table", help="Write the rays as RAY-UI's table (CSV).")
    ] = None,
    spot: Annotated[
        Path | None, typer.Option("--spot", help="Write a picture of the spot (PNG).")
    ] = None,
    layout: Annotated[
        Path | None, typer.Option("--layout", help="Write a picture of the beamline (PNG).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON; mm, rad, eV.")
    ] = False,
) -> None:
    """Trace a beamline and say what arrives; RAY-UI's RawRaysOutgoing with --table."""
    with one_sentence(), warnings_as_sentences():
        from raybayes.beamline.beam import summary
        from raybayes.beamline.rml import read_rml
        from raybayes.beamline.table import write_table
        from raybayes.beamline.trace import trace as trace_rays

        o = options
        beamline = read_rml(file, unmodelled="warn" if o.allow_unmodelled else "error")
        result = trace_rays(beamline, o.rays, o.plane, o.seed, slit_diffraction=o.slit_diffraction)
        if table is not None:
            write_table(result, table)
        _pictures(beamline, result, spot, layout)
        lines = (f"{name:14} {text}" for name, text in summary(result).items())
        say(_numbers(result), as_json, lines)


def _numbers(rays: "Rays") -> dict[str, Any]:
    """What arrives at the plane, and how many rays are lost at which element."""
    from raybayes.beamline.beam import beam

    lost = Counter(str(name) for name in rays.lost_at if name)
    found = {**asdict(beam(rays)), "plane": rays.plane, "lost_at": dict(lost)}
    return {**found, "traced": len(rays.arrived)}


def _pictures(beamline: "Beamline", rays: "Rays", spot: Path | None, layout: Path | None) -> None:
    if spot is None and layout is None:
        return
    from raybayes.beamline.pictures import layout_picture, save, spot_diagram

    if spot is not None:
        save(spot_diagram(rays), spot)
    if layout is not None:
        save(layout_picture(beamline), layout)


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
        from raybayes.beamline.rml import read_rml
        from raybayes.study.plan import Plan

        is_file = study.lower().endswith(".rml")
        how: Any = "warn" if allow_unmodelled else "error"
        beamline = read_rml(study, how) if is_file else Plan.read(study)[1]
        beamline = with_values(beamline, _values(theta or ()))
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

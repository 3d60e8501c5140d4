"""raybayes new: a study from a beamline's file."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raybayes.cli.frame import (
    ALLOW,
    JSON,
    app,
    one_sentence,
    say,
    warnings_as_sentences,
)
from raybayes.errors import InputError, asked_to_stop

if TYPE_CHECKING:
    from raybayes.beamline.model import Beamline
    from raybayes.study.new import Varied

# Beginnings of parameters that a person rarely varies; they may, but are not listed.
RARELY: tuple[str, ...] = (
    "cylindrical", "density", "gradient", "multilayer", "number", "pimpale", "reflectivity",
    "roughness", "source", "stop", "thermal", "thickness", "total", "vls",
)  # fmt: skip


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="A beamline: RAY-UI's RML file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: the beamline's name, .toml, here.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="NAME=LOW..HIGH", help="Do not ask; may be repeated."),
    ] = None,
    allow_unmodelled: ALLOW = False,
    as_json: JSON = False,
) -> None:
    """Write a study, with comments: asks which parameters vary, or takes --vary."""
    with one_sentence(), warnings_as_sentences():
        from raybayes.beamline.rml import read_rml
        from raybayes.study.accuracy import said, silent
        from raybayes.study.new import Varied, counted_reason, write_study

        beamline = read_rml(file, "warn" if allow_unmodelled else "error")
        target = out or Path(f"{file.stem}.toml")
        if target.exists():
            raise InputError(f"{target}: is there already; choose another --out")
        if vary:
            varied = [
                Varied.of(beamline, name, span)
                for name, _, span in (text.rpartition("=") for text in vary)
            ]
        else:
            varied = _asked(beamline)
        found, trouble = write_study(beamline, file, varied, target, silent if as_json else said)
        result = {
            "study": str(target),
            "parameters": [each.name for each in varied],
            "rays": found.tracing.rays,
            "error": found.error,
            "notes": found.sentences if not trouble else [],
            "trouble": trouble,
        }
        run = shlex.join(["raybayes", "run", str(target), "--out", f"out/{target.stem}"])
        check = f"{shlex.join(['raybayes', 'check-simulator', str(target)])}; then "
        steps = f"next: {'' if counted_reason(beamline) else check}{run}"
        say(result, as_json, _lines(result, steps))


def _lines(result: dict[str, Any], steps: str) -> Iterator[str]:
    count = len(result["parameters"])
    yield f"wrote {result['study']}, {count} parameter{'' if count == 1 else 's'}"
    yield from result["notes"]
    if result["trouble"]:
        yield f"it cannot run as it is: {result['trouble']}"
        return
    yield steps


def _answer(question: str, default: str | None = None) -> str:
    """What a person types.

    Raises:
        InputError: nobody is there to answer.
    """
    try:
        return str(typer.prompt(question, default))
    except typer.Abort:
        if asked_to_stop():  # Ctrl-C
            raise
        raise _Nobody(
            "nobody answers which parameters vary; give --vary NAME=LOW..HIGH, once for each"
        ) from None


class _Nobody(InputError):
    """The standard input is at its end."""


def _asked(beamline: "Beamline") -> list["Varied"]:
    """Ask until an empty answer; a wrong answer is said and asked again."""
    from raybayes.beamline.kinds import Number
    from raybayes.beamline.schema import OBJECTS
    from raybayes.study.new import Varied
    from raybayes.study.parameters import unit_of

    for element in beamline.elements:
        kinds = OBJECTS[element.type]
        shown = [
            id_
            for id_ in element.params
            if isinstance(kinds.get(id_), Number) and not id_.startswith(RARELY)
        ]
        typer.echo(f"{element.name} ({element.type}): {', '.join(shown)}")
    varied: list[Varied] = []
    while True:
        name = _answer("A parameter that varies (ELEMENT.PARAMETER, or Enter to end)", "")
        if not name:
            return varied
        try:
            element, id_ = beamline.find(name)
            unit = unit_of(beamline, name)
            span = _answer(f"  from..to, {unit} (in the file {element.number(id_):g})")
            varied.append(Varied.of(beamline, name, span))
        except _Nobody:
            raise
        except InputError as error:
            typer.echo(f"  {error}")

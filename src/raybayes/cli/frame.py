"""The command line's frame: the app, how mistakes are said, JAX's options before it loads."""

import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from raybayes import __version__
from raybayes.cli.interrupts import interruptible
from raybayes.errors import InputError, shown

STUDY = Annotated[str, typer.Argument(help="A shipped study (ue112) or a TOML file.")]
OUT = Annotated[Path, typer.Option("--out", help="Folder of the results; resumed if begun.")]
ALLOW = Annotated[
    bool, typer.Option("--allow-unmodelled", help="Warn of what is not modelled and go on.")
]
TRUST = Annotated[
    bool,
    typer.Option(
        "--trust-engine", help="Run the program or function that the folder's study names."
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Invert X-ray beamlines: from a beam profile to the optics' parameters that made it.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    pass


@contextmanager
def one_sentence() -> Iterator[None]:
    """A person's mistake is one sentence on stderr and exit code 2, never a traceback."""
    try:
        yield
    except InputError as error:
        typer.echo(f"raybayes: {shown(error)}", err=True)
        raise typer.Exit(2) from None


@contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """A warning is one sentence on stderr, said once, as soon as it is known."""
    said = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            typer.echo(f"raybayes: warning: {shown(message)}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


def prepare_jax() -> None:
    """Keep compiled code on disk, and let every core be a device that trains a member."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    flags, wanted = os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count"
    if wanted not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {wanted}={min(os.cpu_count() or 1, 8)}".strip()


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "raybayes" / "jax"


def say(result: Mapping[str, Any], as_json: bool, lines: Iterator[str]) -> None:
    """The result for a machine, or in lines for a person."""
    text = json.dumps(_strict(result), indent=1, allow_nan=False) if as_json else "\n".join(lines)
    typer.echo(text)


def _strict(value: Any) -> Any:
    """JSON knows no NaN and no infinity: null."""
    if isinstance(value, Mapping):
        return {key: _strict(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def bundled(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass spread into its fields, as options.

    A command of many options takes few bundles of them; Typer sees every option by itself.
    """
    own = signature(command)
    bundles: dict[str, Any] = {
        name: p.annotation for name, p in own.parameters.items() if is_dataclass(p.annotation)
    }

    @wraps(command)
    def spread(**values: Any) -> None:
        made = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in bundles.items()
        }
        command(**values, **made)

    plain = [p for name, p in own.parameters.items() if name not in bundles]
    every = [*plain, *(p for kind in bundles.values() for p in signature(kind).parameters.values())]
    every = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in every]
    spread.__signature__ = own.replace(parameters=every)  # type: ignore[attr-defined]
    spread.__annotations__ = {p.name: p.annotation for p in every}
    return spread


def main() -> None:
    with interruptible():
        app()

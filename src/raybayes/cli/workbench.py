"""raybayes app: a local web page on finished runs."""

import signal
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from raybayes.cli.frame import TRUST, app, one_sentence, prepare_jax, say
from raybayes.errors import InputError


@app.command("app")
def workbench(
    out: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of finished runs, or folders that hold them; default: out."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the link and open nothing.")
    ] = False,
    trust_engine: TRUST = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the link as JSON and open nothing.")
    ] = False,
) -> None:
    """A page on this machine: drop an observation, see what it says, move the optics.

    Only this machine can reach it, and only with the link that is printed.
    """
    with one_sentence():
        prepare_jax()
        try:
            from raybayes.web.server import serve
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio"):
                raise
            raise InputError(
                "the workbench needs starlette and uvicorn; install them with: "
                "pip install 'raybayes[app]'"
            ) from error

        def ready(link: str, server: Any) -> None:
            say({"link": link}, as_json, iter((link, "Ctrl-C ends it.")))
            if not (no_browser or as_json):
                webbrowser.open(link)

        # However it is ended, the folder of uploads goes.
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            serve(out or [Path("out")], port, ready, trust_engine)

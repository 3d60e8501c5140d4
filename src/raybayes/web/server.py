"""The server: routes, errors as sentences, one computation at a time."""

import json
import socket
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import anyio.to_thread
import uvicorn
from anyio import CapacityLimiter
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from raybayes.errors import InputError
from raybayes.plan import explained
from raybayes.web.desk import Desk
from raybayes.web.exports import TYPES
from raybayes.web.gate import Gate, Keys
from raybayes.web.shelf import shelf
from raybayes.web.uploads import LIMIT, Uploads, bounded
from raybayes.web.wishes import Example, Measurement, Opening, Refinement, Setting, Wish

BODY = 2**20  # bytes of a wish
ASSETS = {
    "": ("app.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "app.css": ("app.css", "text/css"),
    "drawing.js": ("drawing.js", "text/javascript"),
    "app.js": ("app.js", "text/javascript"),
}
T = TypeVar("T")


class Malformed(InputError):
    """A request that the page would not make."""

    status = 400


def application(desk: Desk, keys: Keys) -> Gate:
    """The page and what it may ask for, behind its gate."""
    # Numba's threads and matplotlib's figures serve one caller at a time.
    alone = CapacityLimiter(1)

    async def computed(function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=alone)

    def answer(function: Callable[[Any], Any], kind: type[Wish]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(await computed(function, await _wish(request, kind)))

        return endpoint

    async def studies(request: Request) -> Response:
        return JSONResponse({"studies": desk.studies(), "limit": LIMIT})

    async def upload(request: Request) -> Response:
        length, name = request.headers.get("content-length"), request.headers.get("x-file-name", "")
        return JSONResponse({"id": await desk.uploads.receive(request.stream(), length, name)})

    async def export(request: Request) -> Response:
        result, kind = request.path_params["result"], request.path_params["kind"]
        content, name = await computed(desk.export, result, kind)
        shown_as = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=TYPES[PurePosixPath(kind).suffix], headers=shown_as)

    wishes: list[tuple[Callable[[Any], Any], type[Wish]]] = [
        (desk.open, Opening),
        (desk.infer, Measurement),
        (desk.example, Example),
        (desk.refine, Refinement),
        (desk.simulate, Setting),
        (desk.layout, Setting),
    ]
    routes = [
        *(Route(f"/{name}", partial(_asset, *asset)) for name, asset in ASSETS.items()),
        Route("/api/studies", studies),
        Route("/api/upload", upload, methods=["POST"]),
        *(Route(f"/api/{f.__name__}", answer(f, k), methods=["POST"]) for f, k in wishes),
        Route("/api/results/{result}/{kind}", export),
    ]
    handlers: Any = {InputError: _refused, Exception: _failed}
    return Gate(Starlette(routes=routes, exception_handlers=handlers), keys)


async def _asset(name: str, kind: str, request: Request) -> Response:
    return Response((resources.files("raybayes") / "data" / name).read_bytes(), media_type=kind)


async def _wish(request: Request, kind: type[Wish]) -> Wish:
    length = request.headers.get("content-length")
    pieces = [piece async for piece in bounded(request.stream(), length, BODY, "the request")]
    try:
        return kind.model_validate(json.loads(b"".join(pieces)))
    except ValidationError as error:
        raise Malformed(explained(error)) from error
    except (ValueError, RecursionError) as error:
        raise Malformed("the request is not JSON") from error


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, getattr(error, "status", 422))


async def _failed(request: Request, error: Exception) -> Response:
    """What nobody foresaw; its traceback stands in the terminal."""
    sentence = "Something went wrong in raybayes itself; the terminal that runs it says what."
    return JSONResponse({"error": sentence}, 500)


def listen(port: int) -> socket.socket:
    """A socket that only this machine can reach.

    Raises:
        InputError: the port is taken, or not ours to take.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise InputError(f"port {port}: {error.strerror}; choose another, or 0 for any") from error
    return listener


def serve(folders: Iterable[Path], port: int, ready: Callable[[str, uvicorn.Server], Any]) -> None:
    """Serve the page until it is interrupted.

    Args:
        port: 0 for one that is free.
        ready: called with the page's link, and the server, before it begins to answer.

    Raises:
        InputError: there is no run in the folders, or the port is taken.
    """
    listed, listener = shelf(folders), listen(port)
    keys = Keys(listener.getsockname()[1])
    with listener, tempfile.TemporaryDirectory(prefix="raybayes-") as folder:
        desk = Desk(listed, Uploads(Path(folder)), Path(folder))
        config = uvicorn.Config(
            application(desk, keys), loop="asyncio", http="h11", ws="none", lifespan="off",
            log_level="warning", server_header=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        listener.listen()
        ready(keys.link, server)
        server.run([listener])

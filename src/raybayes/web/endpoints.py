"""The addresses that the page asks, each with its answer as JSON or as a file."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter, Lock
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from raybayes.errors import InputError, shown
from raybayes.study.explained import explained
from raybayes.web.exports import TYPES
from raybayes.web.requests import ApiRequest, AtTheta, Example, Measurement, Opening, Refinement
from raybayes.web.session import Session
from raybayes.web.uploads import LIMIT, bounded

BODY = 2**20  # bytes of a request
DECODED = 2  # measurements at a time
ASSETS = {
    "": ("app.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "app.css": ("app.css", "text/css"),
    **{
        f"{part}.js": (f"{part}.js", "text/javascript")
        for part in ("drawing", "app", "observations", "server", "shown", "sliders", "state")
    },
}
T = TypeVar("T")
W = TypeVar("W", bound=ApiRequest)


class Malformed(InputError):
    """A request that the page would not make."""

    status = 400


def application(session: Session) -> Starlette:
    """The page, and what it may ask for; without its access check."""
    handlers: Any = {InputError: _refused, ClientDisconnect: _gone, Exception: _failed}
    return Starlette(routes=Endpoints(session).routes(), exception_handlers=handlers)


@dataclass(frozen=True)
class Endpoints:
    """Of one session. Numba's threads and matplotlib's figures serve one caller at a time."""

    session: Session
    turn: Lock = field(default_factory=Lock)
    decoding: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(DECODED))

    def routes(self) -> list[Route]:
        session = self.session
        requests: list[tuple[Callable[[Any], Any], type[ApiRequest]]] = [
            (session.open, Opening),
            (session.example, Example),
            (session.simulate, AtTheta),
            (session.layout, AtTheta),
        ]
        return [
            *(Route(f"/{name}", partial(_asset, *asset)) for name, asset in ASSETS.items()),
            Route("/api/studies", self.studies),
            Route("/api/upload", self.upload, methods=["POST"]),
            *(
                Route(f"/api/{method.__name__}", self.answer(method, kind), methods=["POST"])
                for method, kind in requests
            ),
            Route("/api/infer", self.infer, methods=["POST"]),
            Route("/api/refine", self.refine, methods=["POST"]),
            Route("/api/results/{result}/{kind}", self.export),
        ]

    async def computed(self, request: Request, function: Callable[..., T], *arguments: Any) -> T:
        """By a thread, when it is the request's turn; for nobody who has gone meanwhile."""
        async with self.turn:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await anyio.to_thread.run_sync(function, *arguments)

    def answer(
        self, method: Callable[[Any], Any], kind: type[ApiRequest]
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            asked = await _api_request(request, kind)
            return JSONResponse(await self.computed(request, method, asked))

        return endpoint

    async def studies(self, request: Request) -> Response:
        return JSONResponse({"studies": self.session.studies(), "limit": LIMIT})

    async def upload(self, request: Request) -> Response:
        length, name = request.headers.get("content-length"), request.headers.get("x-file-name", "")
        received = await self.session.uploads.receive(request.stream(), length, name)
        return JSONResponse({"id": received})

    async def infer(self, request: Request) -> Response:
        """Files are decoded beside what others ask; only the inference has its turn."""
        asked = await _api_request(request, Measurement)
        read = partial(self.session.read, asked)
        observation = await anyio.to_thread.run_sync(read, limiter=self.decoding)
        return JSONResponse(await self.computed(request, self.session.infer, asked, observation))

    async def refine(self, request: Request) -> Response:
        pieces, found = self.session.refine(await _api_request(request, Refinement)), None
        while found is None:
            found = await self.computed(request, next, pieces)
        return JSONResponse(found)

    async def export(self, request: Request) -> Response:
        result, kind = request.path_params["result"], request.path_params["kind"]
        content, name = await self.computed(request, self.session.export, result, kind)
        attached = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=TYPES[PurePosixPath(kind).suffix], headers=attached)


async def _asset(name: str, kind: str, request: Request) -> Response:
    return Response((resources.files("raybayes") / "pages" / name).read_bytes(), media_type=kind)


async def _api_request(request: Request, kind: type[W]) -> W:
    length = request.headers.get("content-length")
    pieces = [piece async for piece in bounded(request.stream(), length, BODY, "the request")]
    try:
        return kind.model_validate(json.loads(b"".join(pieces)))
    except ValidationError as error:
        raise Malformed(explained(error)) from error
    except (ValueError, RecursionError) as error:
        raise Malformed("the request is not JSON") from error


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": shown(error)}, getattr(error, "status", 422))


async def _gone(request: Request, error: Exception) -> Response:
    """To somebody who has closed the page: nothing is sent, and nothing is wrong."""
    return Response()


async def _failed(request: Request, error: Exception) -> Response:
    """What nobody foresaw; its traceback stands in the terminal."""
    sentence = "Something went wrong in raybayes itself; the terminal that runs it says what."
    return JSONResponse({"error": sentence}, 500)

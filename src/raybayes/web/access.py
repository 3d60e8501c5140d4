"""Who may talk to the page: a browser on this machine that has the link."""

import hmac
import secrets
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HTTP = 80  # the port that browsers leave out
MONTH = 30 * 24 * 3600  # s: a browser that is closed and opened again may go on
STRANGER = "Open the link that `raybayes app` printed; without its token nothing is shown."
USED = (
    "This link has been opened, and is good for one browser; for a new one end `raybayes app` "
    "with Ctrl-C and run it again, with --no-browser to open the link where you like."
)
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass
class Keys:
    """Secrets of one server: what its link holds, and the cookie that the link is changed for.

    Attributes:
        used: the link has been changed for a cookie; it is so for one browser.
    """

    port: int
    token: str = field(default_factory=_secret, repr=False)
    session: str = field(default_factory=_secret, repr=False)
    used: bool = False

    @property
    def link(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """Ports share a browser's cookies, so the port is in the name."""
        return f"raybayes-{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        named = ("127.0.0.1", "localhost")
        ported = tuple(f"{name}:{self.port}" for name in named)
        return (*ported, *named) if self.port == HTTP else ported


def refusal(keys: Keys, request: Request) -> str:
    """Why a request is not answered; empty where it is."""
    headers = request.headers
    if headers.get("host") not in keys.hosts:  # a foreign name that leads here: DNS rebinding
        return "This server answers to 127.0.0.1 only."
    origins = [f"http://{host}" for host in keys.hosts]
    if request.method not in ("GET", "HEAD") and headers.get("origin") not in origins:
        return "Only the workbench's own page may ask for this."
    if not _knows(keys, request):
        return USED if _has_link(keys, request) else STRANGER
    return ""


def _enters(keys: Keys, request: Request) -> bool:
    """Whether it comes by the link for the first time, or again from the browser that did."""
    welcome = request.method == "GET" and request.headers.get("host") in keys.hosts
    return welcome and _has_link(keys, request) and (not keys.used or _knows(keys, request))


def _has_link(keys: Keys, request: Request) -> bool:
    return request.url.path == "/" and _same(request.query_params.get("token", ""), keys.token)


def _knows(keys: Keys, request: Request) -> bool:
    return _same(request.cookies.get(keys.cookie, ""), keys.session)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def _welcome(keys: Keys, request: Request) -> Response:
    """The token is changed for a cookie, once, and leaves the address bar."""
    response = RedirectResponse("/", status_code=303)
    if not _knows(keys, request):
        keys.used = True
        response.set_cookie(
            keys.cookie, keys.session, max_age=MONTH, httponly=True, samesite="strict"
        )
    return response


@dataclass(frozen=True)
class Access:
    """In front of an application: refuses strangers, and adds the headers that keep the page shut
    to other sites."""

    app: ASGIApp
    keys: Keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._answer(Request(scope))(scope, receive, with_headers)

    def _answer(self, request: Request) -> ASGIApp:
        if _enters(self.keys, request):
            return _welcome(self.keys, request)
        why_not = refusal(self.keys, request)
        return PlainTextResponse(why_not, status_code=403) if why_not else self.app

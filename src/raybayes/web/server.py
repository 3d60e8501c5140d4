"""The server of the page: it listens on this machine alone."""

import socket
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import uvicorn

from raybayes.errors import InputError
from raybayes.web.access import Access, Keys
from raybayes.web.connections import Connection
from raybayes.web.endpoints import application
from raybayes.web.runs import find_runs
from raybayes.web.session import Session
from raybayes.web.uploads import Uploads


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


def serve(
    folders: Iterable[Path],
    port: int,
    ready: Callable[[str, uvicorn.Server], Any],
    trust_engine: bool = False,
) -> None:
    """Serve the page until it is interrupted.

    Args:
        port: 0 for one that is free.
        ready: called with the page's link, and the server, before it begins to answer.
        trust_engine: as for `open_run`.

    Raises:
        InputError: there is no run in the folders, or the port is taken.
    """
    listed, listener = find_runs(folders, trust_engine), listen(port)
    keys = Keys(listener.getsockname()[1])
    with listener, tempfile.TemporaryDirectory(prefix="raybayes-") as folder:
        session = Session(listed, Uploads(Path(folder)), Path(folder))
        config = uvicorn.Config(
            Access(application(session), keys),
            loop="asyncio", http=Connection, ws="none", lifespan="off",
            log_level="error", server_header=False, proxy_headers=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        listener.listen()
        ready(keys.link, server)
        server.run([listener])

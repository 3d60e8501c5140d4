"""Connections of clients that may be slow, or silent for ever."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0  # s, for whatever a client has to do
RATE = 1e5  # bytes/s: each second's worth of what moves gives a second more
MOST = 200  # connections at a time


class Connection(H11Protocol):
    """HTTP by uvicorn, which waits for a client without end: here it is closed when it is late
    with a header, with the body that it announced, or with taking its answer."""

    _timer: asyncio.TimerHandle
    _awaited = ""  # of the client
    _since = 0.0  # s, of the loop
    _moved = 0  # bytes since
    _unsent = 0  # bytes of an answer

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._restart("header")
        self._look()
        if len(self.connections) > MOST:
            ours = [each for each in self.connections if isinstance(each, Connection)]
            min((each for each in ours if each._awaited), key=_since).transport.abort()

    def data_received(self, data: bytes) -> None:
        self._moved += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._restart("")
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Every now and then: does the client do what it has to?"""
        unsent = self.transport.get_write_buffer_size()
        self._moved += max(0, self._unsent - unsent)
        self._unsent = unsent
        awaited = self._now_awaited()
        if awaited != self._awaited:
            self._restart(awaited)
        elif awaited and self.loop.time() > self._since + PATIENCE + self._moved / RATE:
            self.transport.abort()
        self._timer = self.loop.call_later(PATIENCE / 10, self._look)

    def _now_awaited(self) -> str:
        if self._unsent:
            return "reading"
        return {h11.IDLE: "header", h11.SEND_BODY: "body"}.get(self.conn.their_state, "")

    def _restart(self, awaited: str) -> None:
        self._awaited, self._since, self._moved = awaited, self.loop.time(), 0


def _since(connection: Connection) -> float:
    return connection._since

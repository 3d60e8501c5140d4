"""Do clients that are slow, silent or gone leave the workbench's server to the others?"""

import json
import signal
import socket
import threading
import time

import pytest
from campaigns import start
from workbench import Client, counts

from raybayes.web import connections
from raybayes.web import session as session_module
from raybayes.web.session import Session

LATE = 0.5  # s, that tests have for what a person has 10 s for


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", LATE)


def connected(client):
    host, _, port = client.host.partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def head(client, what, length):
    lines = (f"POST /api/{what} HTTP/1.1", f"Host: {client.host}", f"Origin: http://{client.host}",
             f"Cookie: {client.cookie}", f"Content-Length: {length}", "", "")  # fmt: skip
    return "\r\n".join(lines).encode()


def begun(client, what, **body):
    """A request whose answer nobody has read yet."""
    text = json.dumps(body).encode()
    own = connected(client)
    own.sendall(head(client, what, len(text)) + text)
    return own


def closed(own):
    """Whether the server closes the connection, and what it said before."""
    said = b""
    try:
        while piece := own.recv(2**16):
            said += piece
    except ConnectionResetError:
        pass
    own.close()
    return said


UNFINISHED = {
    "nothing": lambda client: b"",
    "half a request line": lambda client: b"GET /api",
    "half a header": lambda client: b"GET / HTTP/1.1\r\nHost: " + client.host.encode(),
    "half a body": lambda client: head(client, "open", 100) + b'{"study"',
    "half an upload": lambda client: head(client, "upload", 10**6) + b"1\n" * 1000,
    "half a stranger's body": lambda client: (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    ),
}


@pytest.mark.parametrize("what", UNFINISHED)
def test_who_says_half_is_closed(what, client, hurried):
    own = connected(client)
    own.sendall(UNFINISHED[what](client))
    assert client.ask("GET", "/api/studies")[0] == 200
    said = closed(own)
    assert said == b"" or said.startswith(b"HTTP/1.1 403"), said


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nX: ", None])
def test_who_trickles_is_closed(begin, client, hurried):
    """A letter now and then is no progress."""
    own = connected(client)
    own.sendall(begin or head(client, "upload", 10**6))
    with pytest.raises(ConnectionError):
        for _ in range(600):
            own.sendall(b"a")
            time.sleep(LATE / 5)
    own.close()


def test_a_slow_upload_is_taken(client, hurried):
    """Slower than the patience, and faster than the rate."""
    pieces = (bytes(b"1\n" * 50_000) for _ in range(6) if time.sleep(LATE / 3) is None)
    assert client.ask("POST", "/api/upload", pieces, X_File_Name="x.csv")[0] == 200


def test_who_takes_no_answer_is_closed(client, hurried, monkeypatch):
    size, lost, after = 3 * 10**7, threading.Event(), connections.Connection.connection_lost

    def connection_lost(self, exc):
        after(self, exc)
        lost.set()

    monkeypatch.setattr(session_module.responses, "beam", lambda *_: {"long": "a" * size})
    own = begun(client, "simulate", study="1", theta=[0, 0])
    assert own.recv(12) == b"HTTP/1.1 200"
    monkeypatch.setattr(connections.Connection, "connection_lost", connection_lost)
    assert lost.wait(60)
    assert 0 < len(closed(own)) < size and client.ask("GET", "/api/studies")[0] == 200


def test_a_long_computation_is_waited_for(client, hurried, monkeypatch):
    long = lambda *_: time.sleep(4 * LATE) or {"done": True}  # noqa: E731
    monkeypatch.setattr(session_module.responses, "beam", long)
    assert client.request("simulate", study="1", theta=[0, 0]) == (200, {"done": True})


def test_too_many_connections(client, monkeypatch):
    """The one that is silent for longest goes; who asks something is answered."""
    monkeypatch.setattr(connections, "MOST", 20)
    silent = [connected(client) for _ in range(30)]
    assert client.ask("GET", "/api/studies")[0] == 200
    assert closed(silent[0]) == b""
    for each in silent:
        each.close()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_others_are_answered_beside_an_inference(client, x, monkeypatch):
    """The page, the list, an upload, and the decoding of other files; one waits for its turn."""
    entered, leave, read = threading.Event(), threading.Event(), threading.Event()
    infer, decode = Session.infer, Session.read

    def long(*arguments):
        entered.set()
        assert leave.wait(60)
        return infer(*arguments)

    def decoded(*arguments):
        found = decode(*arguments)
        read.set()
        return found

    file = client.upload(counts(x))
    with monkeypatch.context() as patched:
        patched.setattr(Session, "infer", long)
        first = begun(client, "infer", study="1", files=[file])
        assert entered.wait(60)
        assert client.ask("GET", "/")[0] == client.ask("GET", "/api/studies")[0] == 200
        patched.setattr(Session, "read", decoded)
        second = begun(client, "infer", study="1", files=[client.upload(counts(x))])
        assert read.wait(60)
        leave.set()
        for each in (first, second):
            assert each.recv(12) == b"HTTP/1.1 200"
            each.close()


def test_who_has_gone_is_not_computed_for(client, monkeypatch):
    """Neither the rest of a correction, nor what still waits for its turn."""
    pieces, ended, computed = threading.Semaphore(0), threading.Event(), []

    def refine(*_):
        try:
            while True:
                pieces.release()
                time.sleep(0.01)
                yield None
        finally:
            ended.set()

    monkeypatch.setattr(Session, "refine", refine)
    monkeypatch.setattr(session_module.responses, "beam", lambda *_: computed.append(1) or {})
    own = begun(client, "refine", result="0")
    assert pieces.acquire(timeout=60) and pieces.acquire(timeout=60)
    waiting = [begun(client, "simulate", study="1", theta=[0, 0]) for _ in range(20)]
    for each in (*waiting, own):
        each.close()
    assert ended.wait(60)
    assert client.request("simulate", study="1", theta=[0, 0])[0] == 200
    assert len(computed) < 20


def test_nothing_is_said_of_who_has_gone(runs, x):
    """In the terminal: closed tabs, half a request, no HTTP at all; and it still ends at once."""
    process = start("app", runs / "a", "--json")
    try:
        client = Client(json.loads("".join(process.stdout.readline() for _ in range(3)))["link"])
        file, study = client.upload(counts(x)), {"study": "1"}
        result = client.request("infer", **study, files=[file])[1]["id"]
        for what, body in (("refine", {"result": result}), ("infer", {**study, "files": [file]}),
                           ("example", study), ("open", study)):  # fmt: skip
            begun(client, what, **body).close()
        for words in (
            *(make(client) for make in UNFINISHED.values()),
            b"\x16\x03\x01",
            b"a\r\n\r\n",
        ):
            own = connected(client)
            own.sendall(words)
            own.close()
        assert client.request("simulate", **study, theta=[0, 0])[0] == 200
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0 and said == ""

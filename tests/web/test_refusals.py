"""Does the workbench's server refuse strangers, wrong files and wrong requests?"""

import http.client
import json
from urllib.parse import urlsplit

import pytest
from workbench import Client, counts

from raybayes.web import session as session_module
from raybayes.web import uploads
from raybayes.web.access import Keys
from raybayes.web.server import listen


def test_strangers_are_refused(client, link):
    assert "HttpOnly" in client.set_cookie and "SameSite=strict" in client.set_cookie
    token = urlsplit(link).query
    foreign = {"Host": "evil.example:80"}
    for path, headers in (
        ("/", {"Cookie": ""}),
        ("/api/studies", {"Cookie": ""}),
        ("/?token=x", {"Cookie": ""}),
        ("/?token=%ED%A0%80%C3%A9", {"Cookie": ""}),
        ("/", {"Cookie": f"{client.cookie}\xe9"}),
        ("/", foreign),
        (f"/?{token}", foreign),
    ):
        status, _, text = client.ask("GET", path, **headers)
        assert status == 403 and text.endswith(b"."), path
    for origin in ("http://evil.example", "null", ""):
        status, _, _ = client.ask("POST", "/api/open", '{"study": "1"}', Origin=origin)
        assert status == 403
    status, headers, text = client.ask("GET", "/")
    assert status == 200 and b"workbench" in text
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["x-content-type-options"] == "nosniff" and "unsafe" not in str(headers)
    with listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def asked_head(link, token):
    connection = http.client.HTTPConnection(urlsplit(link).netloc, timeout=20)
    connection.request("HEAD", f"/?{token}")
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_link_is_opened_once(unopened):
    """The browser that did may open it again; a look at its head does not count."""
    token = urlsplit(unopened).query
    assert asked_head(unopened, token) == 403
    client = Client(unopened)
    for cookie, status in ((client.cookie, 303), ("", 403), (f"{client.cookie}x", 403)):
        found, headers, text = client.ask("GET", f"/?{token}", Cookie=cookie)
        assert found == status and "set-cookie" not in headers
        assert status == 303 or b"run it again" in text
    assert client.ask("GET", "/")[0] == 200


REFUSED = {
    "short": (b"1\n2\n", "x.csv", "x.csv: has 2 readings, but the study's detector has 200"),
    "no numbers": (b"words\n", "x.csv", "x.csv: holds no numbers"),
    "not text": (b"\x89PNG\x00\xff", "x.jpg", "x.jpg: not a picture that can be read"),
    "not an image": (b"no image", "x.png", "x.png: not a picture that can be read"),
    "pickled": (b"\x80\x04\x95", "x.npy", "x.npy: not a whole array of numbers"),
    "beyond all counts": (b"1\n1e308\n" * 100, "x.csv", "or a code for none"),
    "empty": (b"", "x.csv", "x.csv: is empty"),
    "script": (b"1\n2\n", "%3Cscript%3Ex%3Cscript%3E", "<script>x<script>: has 2 readings"),
    "path outside": (b"1\n2\n", "..%2F..%2Fetc%2Fpasswd", "passwd: has 2 readings"),
    "backslashes": (b"1\n2\n", "C:%5Cdata%5Cx.csv", "x.csv: has 2 readings"),
    "control letters": (b"1\n2\n", "a%00%1b[2Jb.csv", "a[2Jb.csv: has 2 readings"),
    "no name": (b"1\n2\n", "", "upload: has 2 readings"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_files_get_a_sentence(case, client):
    content, name, message = REFUSED[case]
    status, found = client.request("infer", study="1", files=[client.upload(content, name)])
    assert status == 422 and message in found["error"] and "/tmp" not in found["error"]


def test_uploads_are_bounded(client, monkeypatch, tmp_path):
    """By what is told before anything is sent, and by what comes."""
    connection = http.client.HTTPConnection(client.host, timeout=20)
    connection.putrequest("POST", "/api/upload")
    for name, value in {
        "Origin": f"http://{client.host}", "Cookie": client.cookie, "X-File-Name": "big.csv",
        "Content-Length": str(500 * 10**6),
    }.items():  # fmt: skip
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "big.csv: has more than the 64 MB" in json.loads(answer.read())["error"]
    connection.close()
    monkeypatch.setattr(uploads, "LIMIT", 2**20)
    pieces = (bytes(2**18) for _ in range(8))  # chunked: no length is told
    status, _, text = client.ask("POST", "/api/upload", pieces, X_File_Name="big.csv")
    assert status == 413 and b"more than the 1 MB" in text


def test_old_uploads_go(tmp_path):
    import asyncio

    kept = uploads.Uploads(tmp_path)

    async def pieces():
        yield b"1"

    async def fill():
        return [await kept.receive(pieces(), None, "a.csv") for _ in range(uploads.KEPT + 3)]

    ids = asyncio.run(fill())
    assert len(list(tmp_path.iterdir())) == uploads.KEPT
    with pytest.raises(uploads.Unknown, match="no longer kept"):
        kept[ids[0]]


REQUESTS = {
    "a path as dark frame": ("infer", {"reading": {"dark": "/etc/passwd"}}, 422, "as a file"),
    "a path as file": ("infer", {"files": ["/etc/passwd"]}, 404, "no longer kept"),
    "too many files": ("infer", {"files": ["a"] * 41}, 400, "files"),
    "a wrong option": ("infer", {"reading": {"rotate": 45}}, 422, "rotate"),
    "an unknown option": ("infer", {"reading": {"evil": 1}}, 422, "evil"),
    "another study": ("infer", {"study": "9"}, 404, "no such study"),
    "another key": ("simulate", {"theta": [0, 0], "x": 1}, 400, "x"),
    "outside": ("simulate", {"theta": [9, 0]}, 422, "in its parameter's range"),
    "too few": ("layout", {"theta": [0]}, 422, "2 numbers"),
    "an old result": ("refine", {"result": "0"}, 404, "no longer kept"),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_wrong_requests_get_a_sentence(case, client, x):
    what, body, status, message = REQUESTS[case]
    if what == "infer":
        body = {"files": [client.upload(counts(x))], **body}
    body = body if what == "refine" else {"study": "1", **body}
    found = client.request(what, **body)
    assert found[0] == status and message in found[1]["error"], found


def test_browsers_leave_out_the_port_of_http():
    assert "127.0.0.1" in Keys(80).hosts and "127.0.0.1" not in Keys(8080).hosts


def test_what_is_no_api_request(client):
    for body, message in ((b"{", "not JSON"), (b"[" * 10**5, "not JSON"), (b'{"study": NaN}', "")):
        status, _, text = client.ask("POST", "/api/open", body)
        assert status == 400 and message in json.loads(text)["error"]
    assert client.ask("POST", "/api/open", bytes(2**20 + 1))[0] == 413
    for path in ("/api/none", "/../../etc/passwd", "/api/results/../x/table.csv"):
        assert client.ask("GET", path)[0] == 404
    assert client.ask("GET", "/api/results/0/table.csv")[0] == 404


def test_the_unforeseen_is_short(client, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("secret")

    monkeypatch.setattr(session_module.responses, "beam", broken)
    status, found = client.request("simulate", study="1", theta=[0, 0])
    assert status == 500 and "terminal" in found["error"] and "secret" not in found["error"]

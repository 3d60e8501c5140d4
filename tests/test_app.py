"""The workbench: what its server refuses and answers, and its page in a real browser."""

import csv
import errno
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import numpy as np
import pytest
from test_run import TINY, command

from raybayes.analysis.measurement import Trained, infer, measure
from raybayes.errors import InputError
from raybayes.observations import Observation
from raybayes.study.run import Run, open_run
from raybayes.study.study import read_study
from raybayes.web import session as session_module
from raybayes.web import uploads
from raybayes.web.access import Keys
from raybayes.web.exports import exported
from raybayes.web.requests import AtTheta, Example
from raybayes.web.runs import find_runs
from raybayes.web.server import listen, serve
from raybayes.web.session import Session

TINY = TINY.replace("simulations = 600", "simulations = 2000").replace("epochs = 4", "epochs = 12")
TINY = TINY.replace("[tracing]", "[detector]\nphotons = 1e3\n[tracing]")  # wide posteriors
IMAGE = TINY.replace('"tiny"', '"picture"').replace(
    "[detector]", '[detector]\nreads = "image"\nbins = [12, 10]\npitch = [0.08, 0.025]'
)
# The second reads an image, after a known step of a motor.
SEVERAL = TINY.replace('"tiny"', '"several"').replace(
    "[tracing]",
    """[[settings]]
[[settings]]
steps = {"M4.rotationXerror" = 0.05}
detector = {reads = "image", bins = [12, 10], pitch = [0.08, 0.025]}
[tracing]""",
)
SCRIPT = "<img src=x onerror=alert(1)>.csv"


def trained(study, folder):
    path = folder.with_suffix(".toml")
    path.write_text(study)
    run = Run(*read_study(path), folder)
    run.claim()
    run.train(run.simulate(), lambda state: None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of four runs; one has not been trained."""
    folder = tmp_path_factory.mktemp("runs")
    trained(TINY, folder / "a")
    trained(IMAGE, folder / "b")
    (folder / "c").mkdir()
    shutil.copy(folder / "a" / "study.json", folder / "c")
    trained(SEVERAL, folder / "d")
    return folder


@pytest.fixture(scope="module")
def link(runs):
    """Of a server that runs in a thread."""
    known, begun = {}, threading.Event()

    def ready(link, server):
        known.update(link=link, server=server)
        begun.set()

    thread = threading.Thread(target=serve, args=([runs], 0, ready))
    thread.start()
    assert begun.wait(30)
    yield known["link"]
    known["server"].should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def x(runs):
    """Counts that the study `tiny` may read."""
    return open_run(runs / "a").observe(np.array([[0.02, 0.1]]), np.random.default_rng(1))[0]


class Client:
    """A browser's manners without a browser."""

    def __init__(self, link):
        parts = urlsplit(link)
        self.host, self.cookie = parts.netloc, ""
        status, headers, _ = self.ask("GET", f"/?{parts.query}")
        assert status == 303 and headers["location"] == "/"
        self.set_cookie = headers["set-cookie"]
        self.cookie = self.set_cookie.partition(";")[0]

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        usual = {"Origin": f"http://{self.host}", "Cookie": self.cookie}
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request(method, path, body, {**usual, **named})
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def wish(self, what, **body):
        status, _, text = self.ask("POST", f"/api/{what}", json.dumps(body))
        return status, json.loads(text)

    def upload(self, content, name="x.csv"):
        status, _, text = self.ask("POST", "/api/upload", content, X_File_Name=name)
        assert status == 200, text
        return json.loads(text)["id"]


@pytest.fixture(scope="module")
def client(link):
    return Client(link)


def counts(x):
    return "\n".join(f"{v:.3f}" for v in x).encode()


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


def test_studies_are_listed(client, runs):
    _, _, text = client.ask("GET", "/api/studies")
    found = json.loads(text)["studies"]
    assert [s["name"] for s in found] == ["tiny", "picture", "tiny", "several"]
    assert [s["trouble"] == "" for s in found] == [True, True, False, True]
    status, answer = client.wish("open", study=found[2]["id"])
    assert status == 422 and "has not been trained yet" in answer["error"]
    assert client.wish("open", study=str(runs / "a"))[0] == 404


def test_the_answer_is_that_of_infer(client, runs, x, tmp_path):
    """The same file and seed, the same numbers."""
    path = tmp_path / "x.csv"
    path.write_bytes(counts(x))
    run = open_run(runs / "a")
    expected = infer(run, measure(run, [path], {"gain": 1.5}), seed=3)
    file = client.upload(path.read_bytes(), "x.csv")
    _, found = client.wish("infer", study="1", files=[file], reading={"gain": 1.5}, seed=3)
    assert found["rows"] == expected.table() and found["alarms"] == list(expected.alarms)
    assert found["done"] == list(expected.observation.done) and found["files"] == ["x.csv"]
    np.testing.assert_allclose(found["draws"], expected.draws, rtol=1e-5)
    assert found["best"] == found["draws"][expected.check.chi2.argmin()]
    np.testing.assert_allclose(
        np.concatenate(found["settings"][0]["measured"]), 1.5 * x, rtol=1e-5, atol=2e-3
    )
    status, refined = client.wish("refine", result=found["id"])
    assert status == 200 and 1 <= refined["ess"] <= refined["draws"] == 4000
    assert f"{refined['ess']:.0f} of 4000" in refined["sentence"]


def test_two_profiles_and_a_dark_frame(client, x):
    halves = [client.upload(counts(part), f"{i}.txt") for i, part in enumerate((x[:100], x[100:]))]
    _, found = client.wish("infer", study="1", files=halves)
    np.testing.assert_allclose(
        np.concatenate(found["settings"][0]["measured"]), x, rtol=1e-5, atol=1e-3
    )
    file, dark = client.upload(counts(x + 7)), client.upload(counts(0 * x + 7), "black.txt")
    _, found = client.wish("infer", study="1", files=[file], dark=dark)
    np.testing.assert_allclose(
        np.concatenate(found["settings"][0]["measured"]), x, rtol=1e-5, atol=2e-3
    )
    assert any("Dark frame black.txt subtracted" in sentence for sentence in found["done"])


def files_of_both(runs, folder):
    """What the study `several` may read: one file for each of its settings."""
    run = open_run(runs / "d")
    x = run.observe(np.array([[0.02, 0.1]]), np.random.default_rng(2))[0]
    profiles, image = run.study.detectors.parts(x)
    paths = [folder / "plain.csv", folder / "moved.npy"]
    paths[0].write_bytes(counts(profiles))
    np.save(paths[1], image)
    return run, paths


def test_several_settings(client, runs, tmp_path):
    """Each setting's own readings and predictions; together the posterior of `raybayes infer`."""
    run, paths = files_of_both(runs, tmp_path)
    expected = infer(run, measure(run, paths, {}))
    _, study = client.wish("open", study="4")
    assert [s["label"] for s in study["settings"]] == [t.name for t in run.study.targets]
    assert [s["reads"] for s in study["settings"]] == ["profiles", "image"]
    files = [client.upload(path.read_bytes(), path.name) for path in paths]
    _, found = client.wish("infer", study="4", files=files)
    assert found["rows"] == expected.table() and found["files"] == ["plain.csv", "moved.npy"]
    profiles, image = run.study.detectors.parts(expected.observation.x)
    shown = found["settings"]
    np.testing.assert_allclose(np.concatenate(shown[0]["measured"]), profiles, rtol=1e-5)
    np.testing.assert_allclose(np.ravel(shown[1]["image"]), image, rtol=1e-5)
    np.testing.assert_allclose(shown[1]["measured"][0], np.sum(shown[1]["image"], 0), rtol=1e-4)
    for one in shown:
        low, middle, high = (np.concatenate(one[k]) for k in ("low", "middle", "high"))
        assert (low <= middle).all() and (middle <= high).all() and (low < high).any()
    _, beam = client.wish("simulate", study="4", theta=found["best"], result=found["id"])
    both = np.concatenate([np.concatenate(beam["settings"][0]["expected"]),
                           np.ravel(beam["settings"][1]["image"])])  # fmt: skip
    theta = np.array(found["best"])
    np.testing.assert_allclose(both, Trained(run).expected_counts(theta), rtol=1e-4, atol=1e-4)
    assert beam["chi2"] > 0
    status, found = client.wish("infer", study="4", files=[*files, files[0], files[0]])
    assert status == 422 and "4 files were given; this study has 2 settings" in found["error"]


def test_an_alarm_is_passed_on(client, x):
    file = client.upload(counts(x + np.roll(x, 30)))
    _, found = client.wish("infer", study="1", files=[file])
    assert any("does not explain the measurement" in alarm for alarm in found["alarms"])
    assert found["chi2"]["p_value"] <= 0.01


REFUSED = {
    "short": (b"1\n2\n", "x.csv", "x.csv: has 2 readings, but the study's detector has 200"),
    "no numbers": (b"words\n", "x.csv", "x.csv: holds no numbers"),
    "not text": (b"\x89PNG\x00\xff", "x.jpg", "x.jpg: is neither text nor of a known suffix"),
    "not an image": (b"no image", "x.png", "x.png: not a picture that can be read"),
    "pickled": (b"\x80\x04\x95", "x.npy", "x.npy: not a whole array of numbers"),
    "beyond all counts": (b"1\n1e308\n" * 100, "x.csv", "not finite in 100 places"),
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
    status, found = client.wish("infer", study="1", files=[client.upload(content, name)])
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


WISHES = {
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


@pytest.mark.parametrize("case", WISHES)
def test_wrong_wishes_get_a_sentence(case, client, x):
    what, body, status, message = WISHES[case]
    if what == "infer":
        body = {"files": [client.upload(counts(x))], **body}
    body = body if what == "refine" else {"study": "1", **body}
    found = client.wish(what, **body)
    assert found[0] == status and message in found[1]["error"], found


def test_a_result_of_another_study_is_not_compared(runs, x, tmp_path):
    """But that of a study that was put aside meanwhile is."""
    session = Session(find_runs([runs]), uploads.Uploads(tmp_path), tmp_path)
    one, other = "1", "2"
    result = session.example(Example(study=one, number=0))["id"]
    with pytest.raises(InputError, match="another study's"):
        session.simulate(AtTheta(study=other, theta=[0, 0], result=result))
    session.opened.clear()
    assert session.simulate(AtTheta(study=one, theta=[0, 0], result=result))


def test_browsers_leave_out_the_port_of_http():
    assert "127.0.0.1" in Keys(80).hosts and "127.0.0.1" not in Keys(8080).hosts


def test_no_export_is_half_a_file(runs, tmp_path, monkeypatch):
    run = open_run(runs / "a")
    x = run.observe(np.zeros((1, 2)), np.random.default_rng(2))[0]
    found = infer(run, Observation(x, (), ("x",)))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left"):
            exported(run, found, "draws.csv", tmp_path / "r")
    assert len(exported(run, found, "draws.csv", tmp_path / "r").splitlines()) == 4001


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

    monkeypatch.setattr(session_module.answers, "beam", broken)
    status, found = client.wish("simulate", study="1", theta=[0, 0])
    assert status == 500 and "terminal" in found["error"] and "secret" not in found["error"]


def test_mistakes_of_the_command(tmp_path, monkeypatch, runs):
    result = command("app", tmp_path)
    assert result.exit_code == 2 and "holds no run; make one" in result.stderr
    with listen(0) as taken:
        taken.listen()
        result = command("app", runs, "--port", taken.getsockname()[1])
    assert result.exit_code == 2 and "choose another" in result.stderr
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [name for name in sys.modules if name.startswith(("raybayes.web", "starlette."))]:
        monkeypatch.delitem(sys.modules, name)
    result = command("app", runs)
    assert result.exit_code == 2 and "pip install 'raybayes[app]'" in result.stderr


def test_it_ends_cleanly(runs, tmp_path):
    """The command prints its link for a machine; when it is ended its uploads are gone."""
    line = [sys.executable, "-m", "raybayes.cli", "app", str(runs / "a"), "--json"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=environment)  # fmt: skip
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        client = Client(json.loads("".join(lines))["link"])
        client.upload(b"1\n")
        assert list(tmp_path.glob("raybayes-*/*.csv"))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and said == "" and not list(tmp_path.glob("raybayes-*"))


# ---- in a browser


@pytest.fixture
def page(browser, link):
    """The workbench, open and ready; in the end nothing was wrong in its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, asked, wrong = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: wrong.append(message.text) if is_wrong(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(link)
    page.wait_for_selector("#panels:not([hidden])")
    until(page, "workbench.beam !== null")
    yield page
    here = f"http://{urlsplit(link).netloc}/"
    assert all(url.startswith((here, "data:")) for url in asked) and not wrong, wrong
    context.close()


def is_wrong(message):
    """A refused wish is a sentence on the page; the browser lists its status as an error too."""
    return message.type == "error" and "Failed to load resource" not in message.text


def until(page, condition, seconds=30):
    """Wait; Playwright's own way needs `eval`, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def dropped(page, content, name):
    data = page.evaluate_handle(
        "([text, name]) => { const data = new DataTransfer();"
        " data.items.add(new File([text], name)); return data; }",
        [content, name],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})


def test_a_stranger_sees_a_sentence(browser, link):
    page = browser.new_page()
    page.goto(link.partition("?")[0])
    assert "Open the link that" in page.inner_text("body")
    page.close()


def test_from_a_file_to_the_numbers(page, runs, x, tmp_path):
    """Drop a file; the table, the trust panel, the curves; the address keeps no token."""
    assert page.url.endswith("/") and page.title() == "raybayes workbench"
    dropped(page, counts(x).decode(), "x.csv")
    until(page, "!!workbench.result?.exact")
    path = tmp_path / "x.csv"
    path.write_bytes(counts(x))
    run = open_run(runs / "a")
    expected = infer(run, measure(run, [path], {}))
    for line, row in zip(page.inner_text("#rows").splitlines(), expected.table(), strict=True):
        name, mean, median, sd, interval, exact, unit = line.split("\t")
        assert (name, unit) == (row["parameter"], "mrad")
        for text, value in ((mean, row["mean"]), (median, row["median"]), (sd, row["sd"])):
            assert float(text) == pytest.approx(value, abs=0.051 * row["sd"])
        low, high = map(float, interval.split(" … "))
        assert low < row["median"] < high and (exact == "–" or "±" in exact)
    assert "4000 draws" in page.inner_text("#status") and page.inner_text("#error") == ""
    said = page.inner_text("#alarms")
    assert all(alarm in said for alarm in expected.alarms or ("Nothing speaks against",))
    assert "chi² per bin" in page.inner_text("#chi2") and "of 4000" in page.inner_text("#ess")
    assert "Read x.csv: profile of 200." in page.inner_text("#done")
    assert "measured peak" in page.get_attribute("#profiles", "aria-label")
    for canvas in ("profiles", "corner"):
        assert inked(page, canvas) > 20
    before = page.evaluate("workbench.result.id")
    page.click("summary")
    page.fill("#gain", "2")
    page.click("text=Read again")
    until(page, f"workbench.result.id !== '{before}'")
    assert "Multiplied by 2 counts" in page.inner_text("#done")
    until(page, "!!workbench.result.exact")


def inked(page, canvas):
    """Colours on a canvas."""
    return page.evaluate(
        "id => { const c = document.getElementById(id); return new Set(new Uint32Array("
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size; }",
        canvas,
    )


def test_sliders_by_keyboard(page, runs):
    """The curve is the simulator's at the sliders' values; the beamline follows."""
    run = open_run(runs / "a")
    page.focus("#theta-0")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "theta-1"
    page.keyboard.press("PageUp")
    until(page, "document.querySelector('#elements .bad') !== null")
    until(page, "String(workbench.beam.theta) === String(workbench.theta)")  # not an earlier key's
    theta = np.array(page.evaluate("workbench.theta"))
    assert theta[0] == pytest.approx(3 * 0.12 / 200) and theta[1] > 0.05
    assert page.get_attribute("#theta-0", "aria-valuetext") == page.inner_text("#said-0")
    assert page.inner_text("#said-0") == "0.0018 mrad"
    shown = np.concatenate(page.evaluate("workbench.beam.settings[0].expected"))
    np.testing.assert_allclose(shown, Trained(run).expected_counts(theta), rtol=1e-5)
    profile = run.simulator.profiles(theta[None], None)[0][0]
    np.testing.assert_allclose(shown, run.study.detector.expected_counts(profile), rtol=1e-5)
    row = page.inner_text("#elements .bad")
    assert row.startswith("M4") and "rotationX 0.0018 mrad" in row
    assert page.evaluate("document.getElementById('layout').naturalWidth") > 100
    assert re.fullmatch(r"From slider to curve: \d+ ms\.", page.inner_text("#latency"))


def test_an_example_and_every_export(page):
    page.click("#example")
    until(page, "!!workbench.result?.exact")
    rows, draws = page.evaluate("[workbench.result.rows, workbench.result.draws]")
    truth = page.evaluate("workbench.result.truth")
    assert np.shape(draws) == (4000, 2) and len(truth) == 2
    page.click("#to-median")
    until(page, "workbench.result.rows.every((row, j) => row.median === workbench.theta[j])")
    files = {}
    for text in page.locator("#export a").all_inner_texts():
        with page.expect_download() as waiting:
            page.click(f"#export >> text='{text}'")
        name = waiting.value.suggested_filename
        assert re.fullmatch(r"tiny-example-\d+-[a-z.]+", name)
        files[name.rpartition("-")[2]] = Path(waiting.value.path()).read_bytes()
    table = list(csv.DictReader(io.StringIO(files["table.csv"].decode())))
    assert [float(row["median"]) for row in table] == [row["median"] for row in rows]
    written = np.loadtxt(io.BytesIO(files["draws.csv"]), delimiter=",", skiprows=1)
    np.testing.assert_allclose(written, draws, rtol=1e-5)
    with h5py.File(io.BytesIO(files["result.nxs"])) as file:
        stored = file["entry/inference/posterior/M4.rotationXerror"][()]
        np.testing.assert_array_equal(stored.ravel(), written[:, 0])
    assert b"<h2>Parameters</h2>" in files["report.html"]
    for name in ("profile.png", "corner.png"):
        assert files[name].startswith(b"\x89PNG") and len(files[name]) > 10_000


def test_the_page_refuses(page, tmp_path):
    """Wrong length, 500 MB, no image, three files, markup in a name: a sentence each."""
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(500 * 10**6)
    named = {"short.csv": b"1\n2\n", "x.png": b"no image", SCRIPT: b"1\n2\n"}
    for name, content in named.items():
        (tmp_path / name).write_bytes(content)
    cases = [
        (["short.csv"], "short.csv: has 2 readings"),
        (["huge.csv"], "huge.csv: has more than the 64 MB that are taken"),
        (["x.png"], "x.png: not a picture that can be read"),
        (["short.csv", "x.png", SCRIPT], "3 files were given; give 2 at most."),
        ([SCRIPT], f"{SCRIPT}: has 2 readings"),
    ]
    for names, message in cases:
        page.set_input_files("#file", [tmp_path / name for name in names])
        until(page, f"document.getElementById('error').textContent.includes({json.dumps(message)})")
    halves = [tmp_path / name for name in ("vertical.csv", "horizontal.csv")]
    for path, n in zip(halves, (100, 90), strict=True):
        path.write_text("\n".join(str(i) for i in range(n)))
    page.set_input_files("#file", halves)
    until(page, "document.getElementById('error').textContent.startsWith('horizontal.csv: has 90')")
    page.click("#swap")
    assert page.inner_text("#files") == "horizontal: horizontal.csv, vertical: vertical.csv"
    until(page, "document.getElementById('error').textContent.includes('horizontal profile has')")
    assert page.is_hidden("#posterior") and page.query_selector("img[src='x']") is None


def test_markup_in_a_name_is_text(page, x):
    dropped(page, counts(x).decode(), SCRIPT)
    until(page, "!!workbench.result?.exact")
    assert page.inner_text("#files") == SCRIPT and SCRIPT in page.inner_text("#table-caption")
    assert page.query_selector("img[src='x']") is None


def test_an_image_study(page, runs):
    """The image itself beside the simulated one; both profiles are its sums."""
    page.select_option("#study", "2")
    until(
        page,
        "workbench.study.name === 'picture' && workbench.beam?.settings[0].image?.length === 10",
    )
    page.set_viewport_size({"width": 400, "height": 800})
    page.click("#example")
    until(page, "!!workbench.result?.exact")
    assert inked(page, "image") > 20 and "sums of the image" in page.inner_text("#legend")
    image, profiles = page.evaluate(
        "[workbench.result.settings[0].image, workbench.result.settings[0].measured]"
    )
    np.testing.assert_allclose(np.sum(image, axis=0), profiles[0], rtol=1e-4)
    np.testing.assert_allclose(np.sum(image, axis=1), profiles[1], rtol=1e-4)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_several_settings_in_the_page(page, runs, tmp_path):
    """Files in a wrong order are put right by a button; a menu chooses whose beam is drawn."""
    _, paths = files_of_both(runs, tmp_path)
    page.select_option("#study", "4")
    until(page, "workbench.study.name === 'several' && workbench.beam?.settings.length === 2")
    assert "two profiles at setting 1: as it stands; an image at" in page.inner_text("#about")
    page.set_input_files("#file", paths[::-1])
    until(page, "document.getElementById('error').textContent.startsWith('moved.npy: ')")
    assert page.inner_text("#files li >> nth=0").startswith("setting 1: as it stands: moved.npy")
    page.focus("#files button")
    page.keyboard.press("Enter")
    until(page, "!!workbench.result?.exact")
    assert page.evaluate("workbench.result.files") == ["plain.csv", "moved.npy"]
    assert page.inner_text("#error") == "" and page.is_hidden("#image-figure")
    assert page.evaluate("document.activeElement.ariaLabel") == "moved.npy: one place earlier"
    before = page.get_attribute("#profiles", "aria-label")
    page.focus("#view")
    page.keyboard.press("ArrowDown")
    until(page, "workbench.view === 1")
    assert page.is_visible("#image-figure") and inked(page, "image") > 20
    assert page.get_attribute("#profiles", "aria-label") != before
    page.set_input_files("#file", [*paths, *paths, *paths])
    until(page, "document.getElementById('error').textContent.includes('give 4 at most')")


def test_the_file_that_was_dropped_last_is_shown(page, x):
    """Also where the one before takes longer to come."""
    held = []
    page.route("**/api/upload", lambda route: route.continue_() if held else held.append(route))
    dropped(page, counts(x).decode(), "first.csv")
    while not held:
        page.wait_for_timeout(20)
    dropped(page, counts(x).decode(), "second.csv")
    until(page, "workbench.result?.files[0] === 'second.csv'")
    held[0].continue_()
    page.wait_for_timeout(1000)
    assert page.evaluate("workbench.result.files[0]") == "second.csv"
    assert "second.csv" in page.inner_text("#files")


def test_everything_has_a_name(page):
    """For a screen reader: controls have labels, pictures have words, sections have titles."""
    nameless = page.evaluate("""() => [
      ...[...document.querySelectorAll("input, select")].filter((e) => !e.labels.length),
      ...[...document.querySelectorAll("button")].filter((e) => !e.textContent.trim()),
      ...[...document.querySelectorAll("img")].filter((e) => !e.alt),
      ...[...document.querySelectorAll("canvas, section, [role=region]")].filter((e) =>
        !e.ariaLabel && !document.getElementById(e.getAttribute("aria-labelledby"))),
      ...[...document.querySelectorAll("table")].filter((e) => !e.caption),
    ].map((e) => e.outerHTML)""")
    assert nameless == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    ids = []
    for _ in range(12):
        page.keyboard.press("Tab")
        ids.append(page.evaluate("document.activeElement.id"))
    order = ["study", "file", "example", "to-middle", "theta-0", "theta-1"]
    assert [id_ for id_ in ids if id_ in order][: len(order)] == order


def test_contrast():
    """Text on its ground, in the light and the dark scheme: 4.5 at least (WCAG AA)."""
    style = (resources.files("raybayes") / "pages" / "app.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#\w+)", block)) for block in
                   re.findall(r":root \{(.*?)\}", style, re.DOTALL))  # fmt: skip
    for scheme in (light, dark):
        for text in ("ink", "quiet", "accent", "bad"):
            for ground in ("paper", "card"):
                assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
        for curve in ("measured", "predicted", "live"):
            assert contrast(scheme[curve], scheme["card"]) >= 3, curve


def contrast(one, other):
    def luminance(colour):
        full = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
        parts = np.array([int(full[i : i + 2], 16) for i in (0, 2, 4)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)

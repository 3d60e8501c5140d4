"""Does the workbench's page show, in a real browser, what the server found?"""

import csv
import io
import json
import re
import time
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import numpy as np
import pytest
from workbench import SCRIPT, counts, files_of_both

from raybayes.analysis.measurement import Trained, infer, measure
from raybayes.study.run import open_run


@pytest.fixture
def page(browser, link, client):
    """The workbench, open and ready; in the end nothing was wrong in its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    name, _, secret = client.cookie.partition("=")
    context.add_cookies([{"name": name, "value": secret, "url": link.partition("?")[0]}])
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
    """A refused request is a sentence on the page; the browser lists its status as an error too."""
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


def test_the_link_is_good_for_one_browser(browser, unopened):
    """There it may be reloaded and opened in a second tab; elsewhere it is refused."""
    own, other = browser.new_context(), browser.new_context()
    for _ in range(2):
        tab = own.new_page()
        tab.goto(unopened)
        assert tab.title() == "raybayes workbench" and "token" not in tab.url
        tab.reload()
        assert tab.title() == "raybayes workbench"
    stranger = other.new_page()
    stranger.goto(unopened)
    assert "has been opened" in stranger.inner_text("body")
    own.close()
    other.close()


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

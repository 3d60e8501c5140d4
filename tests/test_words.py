"""The words that the glossary puts aside stand nowhere; public docstrings say what things take."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import raybayes

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
HEADING = "## Words that we do not use"
TEXTS = {".py", ".js", ".css", ".html", ".jinja", ".md", ".toml"}
APART = {GLOSSARY, ROOT / "CHANGELOG.md", Path(__file__)}  # the list itself, history, this test
TITLE = "inverting the beamline"  # of Steinbach (2021), cited in the glossary


def put_aside():
    """The left column of the glossary's last table."""
    table = GLOSSARY.read_text().partition(HEADING)[2]
    rows = re.findall(r"^\|([^|]+)\|[^|]+\|\s*$", table, flags=re.MULTILINE)[2:]  # head and rule
    return [word.strip() for row in rows for word in row.split(",")]


def spoken(text):
    """Names as words: `_leap_of`, `LeapOf` and `leapOf` hold leap."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.sub(r"[_\s]+", " ", apart).lower()


def files():
    folders = ("src", "docs", "tests", "benchmarks")
    found = [p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in TEXTS]
    return [p for p in (*found, ROOT / "README.md") if p not in APART]


def test_the_glossary_lists_them():
    assert len(put_aside()) > 15 and {"twins", "law", "the talk"} <= {*put_aside()}


def test_names_are_read_as_words():
    pattern = re.compile(r"\bleap\b")
    for name in ("_leap_of", "LeapOf", "theLeap", "a leap"):
        assert pattern.search(spoken(name))
    assert not pattern.search(spoken("leapfrog"))


@pytest.mark.parametrize("word", put_aside())
def test_words_that_we_do_not_use(word):
    pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?!\w)")
    found = [
        f"{path.relative_to(ROOT)}: ...{text[max(0, m.start() - 30) : m.end() + 30]}..."
        for path in files()
        for text in [spoken(path.read_text())]
        for m in pattern.finditer(text)
    ]
    assert not found


# --- public docstrings -----------------------------------------------------------------------

ROOMS = ("raybayes", "raybayes.density", "raybayes.diagnostics", "raybayes.observations")
ALSO = {
    "raybayes.analysis.judge": ("Judge", "Pairs", "Verdict"),
    "raybayes.analysis.measurement": ("Inference", "Trained", "infer", "measure", "refine"),
    "raybayes.beamline.derive": ("with_screen",),
    "raybayes.beamline.trace": ("Rays",),
    "raybayes.inference.estimates": ("Estimates", "Mode", "geometric_median", "modes"),
    "raybayes.inference.estimator": ("Proposed", "best_of"),
    "raybayes.inference.importance": ("Refined", "importance"),
    "raybayes.inference.mcmc": ("McmcDraws", "mcmc", "tempered"),
    "raybayes.inference.nested": ("Reference",),
    "raybayes.inference.proposal": ("refitted",),
    "raybayes.inference.rounds": ("run_rounds",),
    "raybayes.inference.sequential": ("Method", "State", "inside", "leakage"),
    "raybayes.prior": ("Normal", "Prior", "Raw", "Uniform", "log_posterior"),
    "raybayes.simulate.alternative": ("Score", "ascend", "score"),
    "raybayes.simulate.derivatives": ("Information", "Step", "information", "next_steps"),
    "raybayes.simulate.likelihoods": ("counting_log_likelihood", "image_log_likelihood"),
    "raybayes.simulate.settings": ("Detectors", "JointSimulator", "Setting"),
    "raybayes.study.run": ("Checks", "exact_likelihood", "open_posterior", "open_run"),
    "raybayes.workflow.infer": ("infer_files",),
    "raybayes.workflow.refine": ("Refining", "refine_files"),
}


def public():
    """What a user may import, by its name: functions, and the methods of classes."""
    homes = {m: [n for n in importlib.import_module(m).__all__ if n[0] != "_"] for m in ROOMS}
    for module, names in (homes | ALSO).items():
        for name in names:
            found = getattr(importlib.import_module(module), name)
            yield f"{module}.{name}", found
            if inspect.isclass(found):
                members = [n for n in vars(found) if n[0] != "_"]
                yield from ((f"{module}.{name}.{n}", getattr(found, n)) for n in members)


def function(thing):
    """What runs when it is called or read; None where nothing does."""
    plain = getattr(thing, "fget", None) or getattr(thing, "func", None) or thing
    plain = getattr(plain, "__func__", plain)
    return plain if inspect.isfunction(plain) else None


def lacking(thing):
    """What its docstring leaves out: itself, shapes of arrays, errors."""
    said = inspect.getdoc(thing) or ""
    if not said:
        return ["a docstring"]
    plain = function(thing)
    if plain is None:
        return []
    types = str(inspect.signature(plain))
    shapes = re.search("float64|ArrayLike|ndarray", types) and "[" not in said
    errors = "raise InputError" in inspect.getsource(plain) and "InputError" not in said
    return ["shapes"] * bool(shapes) + ["errors"] * errors


def test_public_docstrings_say_shapes_and_errors():
    things = {name: thing for name, thing in public() if function(thing) or inspect.isclass(thing)}
    left = {name: lacking(thing) for name, thing in things.items() if lacking(thing)}
    assert len(things) > 200 and not left


def test_the_package_says_what_it_is():
    assert TITLE in GLOSSARY.read_text().lower() and raybayes.__doc__

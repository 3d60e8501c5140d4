import fcntl
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

# What JAX has compiled serves all workers, and the next run; read when JAX is imported.
COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
# Small programs too: a test compiles many of them, and each costs more than reading it.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax  # noqa: E402
from studies import TINY, TRUTH, UE112, command  # noqa: E402

from raybayes.beamline.rml import read_rml  # noqa: E402
from raybayes.study import accuracy  # noqa: E402
from raybayes.study.run import open_run  # noqa: E402

FLAGS = [  # of Chromium
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def ue112():
    return read_rml(UE112)


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def shared():
    folder = Path(os.environ.get("RAYBAYES_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set RAYBAYES_SHARED")
    return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """make(folder) by the first worker that asks for its name; each gets a copy of its own."""

    def made(name, make):
        own = tmp_path_factory.mktemp(name) / name
        if "PYTEST_XDIST_WORKER" not in os.environ:
            own.mkdir()
            make(own)
            return own
        first = tmp_path_factory.getbasetemp().parent / name
        with open(f"{first}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not first.exists():
                half = first.with_suffix(".half")
                shutil.rmtree(half, ignore_errors=True)
                half.mkdir()
                make(half)
                half.rename(first)
        shutil.copytree(first, own)
        return own

    return made


@pytest.fixture(scope="session", autouse=True)
def proven_once(tmp_path_factory):
    """What is proven of a study serves all who run it: it follows from the study alone.

    That it does, test_proven.py shows.
    """
    base, plain = tmp_path_factory.getbasetemp(), accuracy.prove
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def prove(plan, beamline, asked, tell=accuracy.silent):
        path = folder / f"proven-{asked}"
        if asked and path.exists():
            found, told = pickle.loads(path.read_bytes())
        else:
            told = []
            found = plain(plan, beamline, asked, told.append)
            half = folder / f"proven-{os.getpid()}"
            half.write_bytes(pickle.dumps((found, told)))
            half.replace(path)
        for sentence in told:
            tell(sentence)
        return found

    accuracy.prove = prove
    yield plain
    accuracy.prove = plain


@pytest.fixture(scope="session")
def finished(once):
    """A finished run and a file of its own counts."""

    def make(folder):
        study = folder / "tiny.toml"
        text = TINY.replace("simulations = 600", "simulations = 2000")
        study.write_text(text.replace("epochs = 4", "epochs = 12"))
        out = folder / "out"
        result = command("run", study, "--out", out, "--json")
        assert result.exit_code == 0, result.output
        x = open_run(out).observe(TRUTH[None], np.random.default_rng(1))[0]
        np.savetxt(folder / "x.csv", x)

    folder = once("finished", make)
    return folder / "out", folder / "x.csv"


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium. Of a module: while it runs, no other event loop can."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine; on Debian: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def strict_jax():
    """No silent broadcasting of ranks or promotion of types in our own code (optax needs both)."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield

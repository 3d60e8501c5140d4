"""Does Ctrl-C end a command with its sentence and code 130, wherever it comes?"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from campaigns import ENGINE, RAYBAYES, SLOW
from studies import TINY

from raybayes.cli.interrupts import CODE, SENTENCE

PLAN, _, LEARNED = TINY.partition("[density]")
LONG = f"{PLAN}{ENGINE}[density]{LEARNED}".replace(
    "epochs = 4", "epochs = 100000\npatience = 100000"
)
# A shell that runs tests in the background lets its children ignore SIGINT.
LISTENING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "engine_of_test.py").write_text(SLOW.replace("0.1)", "0.02)"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    path = tmp_path / "long.toml"
    path.write_text(LONG)
    return path


def interrupted(arguments, seen, wait, presses=1):
    """The code and last words of a command that gets Ctrl-C some time after it says `seen`."""
    words = [*RAYBAYES, *map(str, arguments)]
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    said, end = b"", time.monotonic() + 300
    os.set_blocking(process.stderr.fileno(), False)
    while seen not in said and process.poll() is None and time.monotonic() < end:
        said += process.stderr.read() or b""
        time.sleep(0.02)
    assert seen in said, said
    time.sleep(wait)
    for _ in range(presses):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    os.set_blocking(process.stderr.fileno(), True)
    _, last = process.communicate(timeout=120)
    return process.returncode, (said + last).decode()


@pytest.mark.parametrize("where", ["simulate", "train"])
def test_once(where, study, tmp_path):
    wait = random.Random(where).uniform(0, 1)
    seen = f"{where}:".encode()
    code, said = interrupted(["run", study, "--out", tmp_path / "out"], seen, wait)
    assert code == CODE == 130 and said.endswith(SENTENCE) and "Traceback" not in said
    assert (tmp_path / "out" / "study.json").exists()


def test_on_dask(study, tmp_path):
    pytest.importorskip("distributed")
    out = tmp_path / "out"
    arguments = ["simulate", study, "--out", out, "--dask", "local", "--workers", 1]
    code, said = interrupted(arguments, b"simulate:", 1)
    assert code == CODE and said.endswith(SENTENCE) and "Traceback" not in said


SWALLOWING = """
import ctypes, sys, time
from raybayes.cli.interrupts import interruptible
from raybayes.errors import stop_if_asked
def compiled():  # a callback of C code, as LLVM's and XLA's are
    print("here", file=sys.stderr, flush=True)
    time.sleep(1)
def catching():
    try:
        compiled()
    except KeyboardInterrupt:
        pass
    stop_if_asked()
def renaming():
    try:
        compiled()
    except KeyboardInterrupt as error:
        raise RuntimeError("an error of XLA's") from error
def ending():
    try:
        compiled()
    except KeyboardInterrupt:
        pass
with interruptible():
    {call}
"""
CALLS = {
    "a callback of C code": "ctypes.CFUNCTYPE(None)(compiled)(); time.sleep(60)",
    "a library that catches it": "catching(); time.sleep(60)",
    "a library that makes it another error": "renaming()",
    "the last thing done": "ending()",
}


@pytest.mark.parametrize("call", CALLS)
def test_what_swallows_it(call, monkeypatch):
    code = SWALLOWING.format(call=CALLS[call])
    monkeypatch.setattr(sys.modules[__name__], "RAYBAYES", (sys.executable, "-c", code))
    start = time.monotonic()
    code, said = interrupted([], b"here", 0.1)
    assert code == CODE and said == f"here\n{SENTENCE}" and time.monotonic() - start < 50


def test_twice_ends_at_once(monkeypatch):
    """Where the first one waits for code that hears of no signal."""
    busy = 'import hashlib; compiled(); hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)'
    code = SWALLOWING.replace("time.sleep(1)", "pass").format(call=busy)
    monkeypatch.setattr(sys.modules[__name__], "RAYBAYES", (sys.executable, "-c", code))
    code, said = interrupted([], b"here", 0.2, presses=2)
    assert code == CODE and said.endswith(SENTENCE)

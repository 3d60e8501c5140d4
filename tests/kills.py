"""Kill commands at random moments with SIGKILL, run them again, and compare what they leave.

    ./run python tests/kills.py KIND... [--times N] [--seed S] [--json]

Kinds are run, simulate, infer, refine and rounds, whose process is killed, and dask-client,
dask-worker and dask-scheduler, of a campaign on two workers. Each is first run undisturbed. Then it
is begun anew, killed, and run again until it has ended, every third time not before it was killed
twice more. Counted are kills; "lost": a file that was as in the undisturbed run, and is no longer;
"half": one that is neither that nor opens, or a half-written one that stays in the end; "other": an
end with other bytes, or with an error. Ends with code 1 where there are any. Of an HDF5 file times
of writing are left out.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
from campaigns import ENGINE, MANY, PLAN, RAYBAYES, SLOW
from studies import TINY, TRUTH

from raybayes.cli import app
from raybayes.cli.frame import prepare_jax

prepare_jax()
from workbench import trained  # noqa: E402

import raybayes.workflow.refine  # noqa: E402
import raybayes.workflow.run_study  # noqa: E402, F401
from raybayes.density import rnade  # noqa: E402
from raybayes.errors import InputError  # noqa: E402
from raybayes.inference.estimator import Estimator  # noqa: E402
from raybayes.inference.rounds import run_rounds  # noqa: E402
from raybayes.inference.sequential import Sequential, tsnpe  # noqa: E402
from raybayes.inference.train import Training  # noqa: E402
from raybayes.prior import Independent, Normal  # noqa: E402
from raybayes.store import PARTIAL, read_arrays, read_json  # noqa: E402
from raybayes.study.run import open_run  # noqa: E402

BAD = ("lost", "half", "other")
TIMES = ("date", "file_time")
OPENS = {".json": read_json, ".safetensors": read_arrays}


# --- what lies in a folder ----------------------------------------------------------------------


def digests(folder):
    """Of each file under a folder, by its name; of HDF5 without the times."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {}
    for path in files:
        try:
            found[str(path.relative_to(folder))] = _digest(path)
        except FileNotFoundError:  # a half-written one that got its name
            continue
    return found


def _digest(path):
    if path.suffix != ".nxs":
        return sha256(path.read_bytes()).hexdigest()
    parts = []
    with h5py.File(path) as file:

        def note(name, item):
            own = {k: v for k, v in item.attrs.items() if k not in TIMES}
            parts.append((name, sorted((k, str(v)) for k, v in own.items())))
            if isinstance(item, h5py.Dataset) and name.rpartition("/")[2] not in TIMES:
                parts.append(np.asarray(item[()]).tolist())  # text is objects

        file.visititems(note)
    return sha256(repr(parts).encode()).hexdigest()


def named(found):
    """Those that have got their names."""
    return {k: v for k, v in found.items() if not k.rpartition("/")[2].startswith(PARTIAL)}


def opens(path):
    """Whether it is whole by its checksum; what has none is so only as in the undisturbed run."""
    try:
        OPENS[path.suffix](path)
    except (KeyError, InputError):
        return False
    return True


# --- commands -----------------------------------------------------------------------------------


class Command:
    """A command, what it starts from, and the folder in which it writes."""

    def __init__(self, base, words, given=None):
        self.base, self.words, self.given = base, [str(word) for word in words], given
        self.out = base / "out"

    def fresh(self):
        shutil.rmtree(self.out, ignore_errors=True)
        if self.given:
            shutil.copytree(self.given, self.out)

    def start(self):
        return Fork(self.work, self.base)

    def work(self):
        """What the killed process does."""
        app(self.words)

    def kill(self, process):
        ended(process)

    def close(self):
        pass


class Rounds(Command):
    """Sequential rounds, from Python."""

    def work(self):
        prior = Independent(("a", "b"), (Normal(mean=0, sd=2), Normal(mean=1, sd=1)))
        training = Training(epochs=20, patience=20, batch=50)
        estimator = Estimator(prior, rnade(widths=(16,)), training)
        run_rounds(Sequential(estimator, np.ones(3), summed, tsnpe()), 2, 200, self.out)


def summed(theta, rng):
    return theta @ np.ones((2, 3)) + 0.3 * rng.standard_normal((len(theta), 3))


class Fork:
    """A process that does one thing; what takes long to import is there already."""

    def __init__(self, work, base):
        self.pid, self.code = os.fork(), None
        if self.pid == 0:
            self.code = 1
            try:
                errors = os.open(base / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(errors, 2)
                work()
                self.code = 0
            except SystemExit as asked:
                self.code = asked.code or 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(self.code)

    def poll(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self):
        while self.poll() is None:
            time.sleep(0.005)
        return self.code

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def started(words, base):
    path = os.pathsep.join(filter(None, (str(base), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=(base / "stderr").open("wb"),
        start_new_session=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def ended(process):
    process.kill()
    process.wait()


class Cluster(Command):
    """A campaign on a scheduler and two workers, of which one process is killed."""

    def __init__(self, base, words, victim):
        super().__init__(base, [*RAYBAYES, *words, "--dask", "tcp://127.0.0.1:0"])
        self.victim, self.processes = victim, {}

    def start(self):
        """The client; what of the cluster has been killed is there again."""
        if self._dead("scheduler"):
            self.close()
            where = self.base / "scheduler.json"
            where.unlink(missing_ok=True)
            self._launch("scheduler", "--port", "0", "--scheduler-file", where)
            until(where.exists)
            self.words[-1] = json.loads(where.read_text())["address"]
        for name in ("worker", "other worker"):
            if self._dead(name):
                self._launch(name, self.words[-1], "--nthreads", "1", "--no-nanny",
                             "--local-directory", self.base)  # fmt: skip
        return started(self.words, self.base)

    def _dead(self, name):
        return name not in self.processes or self.processes[name].poll() is not None

    def _launch(self, name, *words):
        module = f"distributed.cli.dask_{name.rpartition(' ')[2]}"
        usual = ("--host", "127.0.0.1", "--no-dashboard")
        words = (sys.executable, "-m", module, *usual, *map(str, words))
        self.processes[name] = started(words, self.base)

    def kill(self, process):
        """The victim; without a scheduler the client ends, without a worker it goes on."""
        if self.victim == "client":
            ended(process)
            return
        ended(self.processes[self.victim])
        code = process.wait(300)
        right = (0, 2) if self.victim == "scheduler" else (0,)
        assert code in right, (self.base / "stderr").read_text()

    def close(self):
        for process in self.processes.values():
            ended(process)
        self.processes.clear()


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def made(kind, base):
    """The command of a kind, in a folder of its own."""
    base.mkdir()
    study = base / "study.toml"
    if kind.startswith("dask-"):
        (base / "engine_of_test.py").write_text(SLOW)
        study.write_text(PLAN.replace("= 600", f"= {50 * MANY}") + ENGINE)
        words = ("simulate", study, "--out", base / "out")
        return Cluster(base, words, kind.partition("-")[2])
    study.write_text(TINY)
    if kind == "rounds":
        return Rounds(base, ())
    if kind in ("run", "simulate"):
        return Command(base, (kind, study, "--out", base / "out", "--json"))
    whole, x = base / "whole", base / "x.csv"
    assert Fork(lambda: finished_run(whole, x), base).wait() == 0, (base / "stderr").read_text()
    more = ("-n", 500, "--moves", 2) if kind == "refine" else ()
    return Command(base, (kind, base / "out", x, *more, "--json"), whole)


def finished_run(folder, file):
    """A small one without its pages, and a file of counts that it may read."""
    trained(TINY, folder)
    np.savetxt(file, open_run(folder).observe(TRUTH[None], np.random.default_rng(1))[0])


# --- kills --------------------------------------------------------------------------------------


def undisturbed(command):
    """How long it takes, and the files that it leaves."""
    command.fresh()
    begun, process = time.monotonic(), command.start()
    assert process.wait() == 0, (command.base / "stderr").read_text()
    return time.monotonic() - begun, digests(command.out)


def killed(command, seconds, rng):
    """Whether a start of the command was killed before it had ended."""
    process = command.start()
    end = time.monotonic() + rng.uniform(0, seconds)
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    late = process.poll() is not None
    if not late:
        command.kill(process)
    return not late


def trial(command, whole, seconds, rng, kills):
    """Kill it some times, let it end, and count what is wrong."""
    found, kept = Counter(), {}
    command.fresh()
    for _ in range(kills):
        found["kills"] += killed(command, seconds, rng)
        there = named(digests(command.out))
        found["lost"] += not kept.items() <= there.items()
        kept = {name: digest for name, digest in there.items() if whole.get(name) == digest}
        found["half"] += not all(opens(command.out / name) for name in there.keys() - kept.keys())
    process = command.start()
    code, there = process.wait(), digests(command.out)
    found["half"] += len(named(there)) < len(there)
    found["other"] += code != 0 or named(there) != whole
    return found


def kills(kind, times, seed):
    """Counts of kills and of what was wrong after them; and s of the undisturbed run."""
    found, rng, i = Counter(), random.Random(f"{kind} {seed}"), 0
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        command = made(kind, Path(folder) / "base")
        try:
            _, first = undisturbed(command)  # compiles
            seconds, whole = undisturbed(command)
            differ = sorted(name for name in first if whole.get(name) != first[name])
            assert not differ, f"two undisturbed runs differ in {differ}"
            while found["kills"] < times:
                found += trial(command, whole, seconds, rng, 3 if i % 3 == 2 else 1)
                i += 1
        finally:
            command.close()
    return found, seconds


KINDS = (
    "run", "simulate", "infer", "refine", "rounds", "dask-client", "dask-worker", "dask-scheduler",
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="+", choices=KINDS, metavar="KIND")
    parser.add_argument("--times", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given, wrong = parser.parse_args(), 0
    for kind in given.kinds:
        found, seconds = kills(kind, given.times, given.seed)
        wrong += sum(found[word] for word in BAD)
        counts = {word: found[word] for word in ("kills", *BAD)}
        if given.json:
            print(json.dumps({"kind": kind, "seconds": seconds, **counts}), flush=True)
        else:
            words = ", ".join(f"{count} {word}" for word, count in counts.items())
            print(f"{kind} ({seconds:.1f} s undisturbed): {words}", flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

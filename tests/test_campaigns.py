"""Campaigns: the same bytes whoever makes them, whatever is killed; failures are counted."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from test_run import TINY, command, shards

from raybayes.errors import InputError
from raybayes.simulate.engines.protocol import needs
from raybayes.simulate.failures import Failures
from raybayes.store import PARTIAL, Store
from raybayes.study.campaigns import Job, Request, array_script, dask_script
from raybayes.study.plan import Plan
from raybayes.study.run import Run
from raybayes.study.study import read_study

RAYBAYES = (sys.executable, "-m", "raybayes.cli")
SLOW = """
import time
import numpy as np

def slow(theta):
    time.sleep(0.1)
    return np.repeat(np.abs(theta[:, :1]), 200, axis=1) + 1e-3

def flaky(theta, seed):
    if theta[0] > 0.05 and theta[1] > 0:
        raise RuntimeError("evanescent")
    if theta[0] < -0.05:
        return np.full(200, np.nan)
    if abs(theta[1]) < 0.1:
        return np.zeros(200), 0.0
    if seed % 4 == 0:
        raise TimeoutError("busy")
    return np.full(200, 1e-3), 0.2
"""
ENGINE = """
[engine]
kind = "function"
function = "engine_of_test:slow"
"""
MANY = 40  # shards
PLAN = TINY.partition("[density]")[0]  # nothing to train, so JAX is not loaded


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A study of MANY shards that take a tenth of a second each."""
    (tmp_path / "engine_of_test.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "slow.toml"
    path.write_text(PLAN.replace("simulations = 600", f"simulations = {50 * MANY}") + ENGINE)
    yield path
    sys.modules.pop("engine_of_test", None)


def start(*arguments, before=()):
    words = [str(word) for word in (*before, *RAYBAYES, *arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process, code=0):
    output, errors = process.communicate(timeout=900)
    assert process.returncode == code, errors
    return output + errors


def campaign(study, folder):
    return Plan.read(study)[0].campaign(Plan.read(study)[1], folder)


def whole(study, folder):
    """The files of a campaign that one process made."""
    made = campaign(study, folder)
    made.run(made.store.shards(Plan.read(study)[0].simulations))
    return shards(folder)


def until(condition, seconds=900):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_simulate_goes_on_and_says_what_it_did(slow, tmp_path):
    out = tmp_path / "out"
    first = command("simulate", slow, "-n", 150, "--out", out)
    assert first.exit_code == 0 and "150 simulations in 3 shards, 3 shards of" in first.stdout
    again = command("simulate", slow, "-n", "2.5e2", "--out", out)
    assert "250 simulations in 5 shards, 2 shards of them new" in again.stdout
    two = command("simulate", slow, "--shards", "7-8", "--out", out, "--json")
    assert '"made_now": 2' in two.stdout and len(shards(out)) == 7
    assert shards(out).items() <= whole(slow, tmp_path / "whole").items()


def test_two_writers_share_the_work(slow, tmp_path):
    """A second writer that sweeps the folder does not take the first one's half-written file."""
    out = tmp_path / "out"
    writers = [start("simulate", slow, "--out", out) for _ in range(2)]
    texts = [finished(writer) for writer in writers]
    assert all(f"in {MANY} shards" in text for text in texts)
    assert shards(out) == whole(slow, tmp_path / "whole")
    assert not list((out / "simulations").glob(f"{PARTIAL}*"))


def test_writers_that_meet_part(tmp_path):
    """While this writer makes shard 0, another one writes it: on in the middle of the rest."""
    store, order = Store(tmp_path, {"study": "a"}, 1), []

    def simulate(index, count):
        if not order:
            store.add(0, lambda *_: ({"theta": np.zeros((1, 1))}, {}))
        order.append(index)
        return {"theta": np.zeros((1, 1))}, {}

    assert store.fill(range(7), simulate) == 6
    assert order == [0, 4, 5, 6, 1, 2, 3]


def test_only_abandoned_files_are_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = os.uname().nodename
    dead, living = (tmp_path / f"{PARTIAL}{host}-{pid}-x" for pid in (ended.pid, os.getpid()))
    old, new = (tmp_path / f"{PARTIAL}elsewhere-1-{name}" for name in ("old", "new"))
    for path in (dead, living, old, new):
        path.touch()
    os.utime(old, (0, 0))
    Store(tmp_path, {"study": "a"}, 1).open()
    assert sorted(tmp_path.iterdir()) == sorted((living, new))


def test_full_disk(slow, tmp_path):
    """A write that the system refuses half way: one sentence, no half file, and it goes on."""
    out = tmp_path / "out"
    command("simulate", slow, "-n", 100, "--out", out)
    before = shards(out)
    limited = ("sh", "-c", 'ulimit -f 40; exec "$@"', "sh")  # 20 kB a file; a shard has 80
    full = start("simulate", slow, "--out", out, before=limited)
    assert "cannot be written (File too large)" in finished(full, 2)
    assert shards(out) == before and not list((out / "simulations").glob(f"{PARTIAL}*"))
    command("simulate", slow, "-n", 200, "--out", out)
    assert len(shards(out)) == 4 and shards(out).items() >= before.items()


def flaky(tmp_path, rule):
    engine = ENGINE.replace("slow", "flaky") + "batched = false\nseeded = true\n"
    path = tmp_path / "flaky.toml"
    path.write_text(PLAN + engine + "[failures]\n" + rule)
    return path


def test_failures_are_recorded(slow, tmp_path):
    """Exceptions, NaN and lost beams, by their reasons; a busy program is tried again."""
    study = flaky(tmp_path, 'at_most = 0.6\nlost_beam = "fail"\nretries = 4')
    out = tmp_path / "out"
    result = command("simulate", study, "-n", 200, "--out", out)
    assert result.exit_code == 0, result.output
    said = result.stdout
    made = campaign(study, out)
    made.store.open()
    headers = list(made.store.headers(made.store.shards(200)))
    failed = [each for header in headers for each in header["failed"]]
    theta = np.array([each["theta"] for each in failed])
    reasons = {each["reason"] for each in failed}
    assert reasons >= {"RuntimeError: evanescent", "the profile is not finite"}
    assert "no light on the detector" in reasons
    dark = np.abs(theta[:, 1]) < 0.1
    assert (dark | (np.abs(theta[:, 0]) > 0.05) | np.isin(
        [each["reason"] for each in failed], ["TimeoutError: busy"])).all()  # fmt: skip
    kept = made.store.read(200)
    assert len(kept["theta"]) == 200 - len(failed) and np.isfinite(kept["profile"]).all()
    assert f"{len(failed)} of 200 simulations failed and are left out" in said
    assert "were tried more than once" in said
    assert shards(out).items() <= whole(study, tmp_path / "again").items()


RULES = {
    "none": ("at_most = 0.0\nretries = 0", r"1 of 50 simulations failed"),
    "stop": ('then = "stop"\nretries = 0', r"1 of 50 simulations failed"),
    "too many": ("at_most = 0.05", r"3 of 50 simulations failed"),
    "unknown": ("at_mots = 0.05", r"key 'failures.at_mots'"),
}


@pytest.mark.parametrize("case", RULES)
def test_rules_of_failure(case, slow, tmp_path):
    rule, message = RULES[case]
    result = command("simulate", flaky(tmp_path, rule), "--out", tmp_path / "out")
    assert result.exit_code == 2 and message in result.stderr
    assert "raybayes: " in result.stderr and "Traceback" not in result.stderr


def test_how_many_may_fail():
    """One of a small shard, but not the only one."""
    rule = Failures(at_most=0.1)
    assert [rule.allowed(n) for n in (1, 2, 9, 10, 25, 1000)] == [0, 1, 1, 1, 2, 100]
    assert Failures(at_most=1.0).allowed(1) == 1
    assert Failures(at_most=0.0).allowed(1000) == Failures(then="stop").allowed(1000) == 0


NEGATIVE = """
import numpy as np

def slow(theta):
    profiles = np.repeat(np.abs(theta[:, :1]), 200, axis=1)
    theta *= 1e-3
    profiles[:, 3] = np.where(theta[:, 1] > 0, -1e-3, -1e-15)
    return profiles
"""


def test_functions_that_change_theta_or_go_below_zero(slow, tmp_path):
    (tmp_path / "engine_of_test.py").write_text(NEGATIVE)
    slow.write_text(slow.read_text() + "[failures]\nat_most = 0.9\nretries = 0\n")
    result = command("simulate", slow, "-n", 50, "--out", tmp_path / "out", "--json")
    failed = json.loads(result.stdout)["failed"]
    assert list(failed) == ["the profile is negative in a bin"]
    made = campaign(slow, tmp_path / "out").store.read(50)
    assert (made["theta"][:, 1] <= 0).all() and np.abs(made["theta"][:, 0]).max() > 0.01
    np.testing.assert_array_equal(made["profile"][:, 0], np.abs(made["theta"][:, 0]))


def test_shards_that_are_not_what_their_names_say(slow, tmp_path):
    out = tmp_path / "out"
    command("simulate", slow, "-n", 100, "--out", out)
    first, second = (campaign(slow, out).store.path(i) for i in (0, 1))
    whole = second.read_bytes()
    second.write_bytes(first.read_bytes())
    result = command("simulate", slow, "-n", 100, "--out", out)
    assert result.exit_code == 2 and "is shard 0 by its header; delete it" in result.stderr
    second.write_bytes(whole[:1000])
    result = command("simulate", slow, "-n", 100, "--shards", "1", "--out", out)
    assert result.exit_code == 2 and "delete it" in result.stderr
    second.write_bytes(whole)
    result = command("simulate", slow, "-n", 100, "--shards", "1", "--out", out, "--json")
    found = json.loads(result.stdout)
    assert found["simulations"] == 50 and found["made_now"] == 0


def test_what_decides_the_geometry_is_part_of_the_hash(slow):
    plan, beamline = Plan.read(slow)
    radius = beamline["M4"].params["longRadius"]
    both = [
        beamline.with_params("M4", {"longRadius": replace(radius, attributes={"auto": flag})})
        for flag in "TF"
    ]
    assert len({plan.identity(each) for each in (beamline, *both)}) == 3


def test_a_dark_detector_is_an_observation(slow, tmp_path):
    study = flaky(tmp_path, "at_most = 0.6\nretries = 9")
    result = command("simulate", study, "-n", 100, "--out", tmp_path / "out")
    assert "kept simulations have no light at all" in result.stdout


def test_run_takes_over_a_campaign(tmp_path):
    """`raybayes run` finds what `simulate` made; another study's shards are refused at once."""
    study = tmp_path / "tiny.toml"
    study.write_text(TINY)
    out = tmp_path / "out"
    command("simulate", study, "-n", 300, "--out", out)
    before = {f: (out / "simulations" / f).stat().st_mtime_ns for f in shards(out)}
    run = Run(*read_study(study), out)
    run.claim()
    assert len(run.simulate()["theta"]) == 600
    assert len(before) == 6 and len(shards(out)) == 12
    for name, stamp in before.items():
        assert (out / "simulations" / name).stat().st_mtime_ns == stamp
    study.write_text(TINY.replace("seed = 3", "seed = 4"))
    other = command("simulate", study, "--out", out)
    assert other.exit_code == 2 and "belongs to study" in other.stderr


def test_plan_of_a_billion(slow, tmp_path):
    result = command("simulate", slow, "-n", "1e9", "--out", tmp_path / "o", "--plan", "--cores", 8)
    assert result.exit_code == 0, result.output
    assert "shards        20,000,000 of 0.0812 MB" in result.stdout  # 203 numbers each
    assert "core hours" in result.stdout and "hours on 8 cores" in result.stdout
    assert not (tmp_path / "o").exists()


NO_JAX = """
import sys
for name in ("jax", "jaxlib", "equinox", "optax", "diffrax"):
    sys.modules[name] = None  # importing it fails
from raybayes.cli import app
app(sys.argv[1:], standalone_mode=False)
"""


def test_a_machine_that_simulates_needs_no_jax(tmp_path):
    study = tmp_path / "tiny.toml"
    study.write_text(TINY)
    words = ("simulate", study, "--shards", "2-3", "--out", tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", NO_JAX, *map(str, words)], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(shards(tmp_path / "out")) == 2


def test_array_script(slow, tmp_path, monkeypatch):
    """The printed script, task by task, makes the campaign."""
    out = tmp_path / "out"
    script = array_script(Request(str(slow), out), Job(2, cores=1, partition="long"))
    assert "#SBATCH --array=0-1" in script and "#SBATCH --partition=long" in script
    (tmp_path / "raybayes").write_text(f'#!/bin/sh\nexec {sys.executable} -m raybayes.cli "$@"\n')
    (tmp_path / "raybayes").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for task in range(2):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        subprocess.run(["sh"], input=script.encode(), check=True, capture_output=True)
    assert shards(out) == whole(slow, tmp_path / "whole")


def test_missing_dask_is_named(slow, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = command("simulate", slow, "--out", tmp_path / "out", "--dask")
    assert result.exit_code == 2 and "pip install 'raybayes[dask]'" in result.stderr
    with pytest.raises(InputError, match="distributed cannot be imported"):
        needs("distributed")


# -- with Dask

BY_HAND = ("--host", "127.0.0.1", "--no-dashboard")


@pytest.fixture
def dask():
    pytest.importorskip("distributed", reason="Dask is not installed")


@pytest.fixture
def cluster(dask, slow, tmp_path):
    """A scheduler and two workers: their address, and the processes by name."""
    log = (tmp_path / "log").open("w")

    def launch(module, *words):
        words = [sys.executable, "-m", f"distributed.cli.{module}", *words]
        return subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    where = tmp_path / "scheduler.json"
    processes = {
        "scheduler": launch(
            "dask_scheduler", *BY_HAND, "--port", "0", "--scheduler-file", str(where)
        )
    }
    until(where.exists)
    for name in ("one", "two"):
        processes[name] = launch(
            "dask_worker", "--scheduler-file", str(where), "--nthreads", "1", "--no-dashboard",
            "--no-nanny", "--local-directory", str(tmp_path), "--host", "127.0.0.1",
        )  # fmt: skip
    import json

    yield json.loads(where.read_text())["address"], processes
    for process in processes.values():
        process.kill()
        process.wait()
    log.close()


@pytest.mark.slow
def test_four_dask_workers_make_the_same_bytes(dask, tmp_path):
    study = tmp_path / "tiny.toml"
    study.write_text(PLAN)
    out = tmp_path / "out"
    process = start("simulate", study, "--out", out, "--dask", "--workers", 4)
    assert "600 simulations in 12 shards, 12 shards of them new" in finished(process)
    assert shards(out) == whole(study, tmp_path / "whole")


@pytest.mark.slow
def test_killed_worker_scheduler_and_client(cluster, slow, tmp_path):
    """Nothing that was finished is lost, whoever is killed; the same command goes on."""
    address, processes = cluster
    out = tmp_path / "out"
    words = ("simulate", slow, "--out", out, "--dask", address)
    client = start(*words)  # the client
    until(lambda: len(shards(out)) >= 5)
    client.kill()
    client.communicate()
    kept = shards(out)
    assert 5 <= len(kept) < MANY

    mistake = flaky(tmp_path, 'then = "stop"\nretries = 0')  # a shard that stops it all
    said = command("simulate", mistake, "--out", tmp_path / "mistake", "--dask", address)
    assert said.exit_code == 2 and "simulations failed" in said.stderr

    client = start(*words)  # a worker
    until(lambda: len(shards(out)) >= 12)
    processes["one"].kill()
    until(lambda: len(shards(out)) >= 18)
    assert kept.items() <= shards(out).items()

    processes["scheduler"].kill()
    said = finished(client, 2)
    assert "run the same command again" in said and "Traceback" not in said
    kept = shards(out)
    assert 18 <= len(kept) < MANY
    assert command("simulate", slow, "--out", out).exit_code == 0
    assert kept.items() <= shards(out).items()
    assert shards(out) == whole(slow, tmp_path / "whole")


def test_no_scheduler_there(dask, slow, tmp_path):
    result = command("simulate", slow, "--out", tmp_path / "o", "--dask", "tcp://127.0.0.1:9")
    assert result.exit_code == 2 and "does not answer" in result.stderr


SBATCH = """#!/bin/sh
# A stand-in for Slurm's: the job starts at once, on this machine, from a copy of the script.
copy={pids}.$$
cp "$1" $copy
setsid sh $copy >{pids}.log 2>&1 &
echo $! >> {pids}
echo "Submitted batch job $!"
"""


@pytest.mark.slow
def test_slurm_jobs_through_dask(dask, slow, tmp_path, monkeypatch):
    """The printed script with a stand-in for sbatch: two jobs are two workers."""
    pids = tmp_path / "pids"
    for name, text in {
        "sbatch": SBATCH.format(pids=pids),
        "scancel": '#!/bin/sh\nkill -- -"$1"\n',
        "raybayes": f'#!/bin/sh\nexec {sys.executable} -m raybayes.cli "$@"\n',
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    out = tmp_path / "out"
    job = Job(2, cores=1, memory="1GB", extra=("--account=me",))
    script = dask_script(Request(str(slow), out, 500), job)
    done = subprocess.run(
        ["sh"], input=script, text=True, capture_output=True, cwd=tmp_path, timeout=900
    )
    assert done.returncode == 0, done.stderr
    for pid in pids.read_text().split():
        subprocess.run(["kill", "--", f"-{pid}"], capture_output=True)
    assert len(pids.read_text().split()) == 2 and len(shards(out)) == 10

"""Do Slurm's and Dask's workers make the bytes that one process makes?"""

import json
import os
import subprocess
import sys

import pytest
from campaigns import MANY, PLAN, finished, flaky, start, until, whole
from studies import command, shards

from raybayes.errors import InputError
from raybayes.simulate.engines.protocol import needs
from raybayes.study.campaigns import Job, Request, array_script, dask_script


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

"""Do campaigns make the same bytes, whoever makes them and whatever is killed?"""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
from campaigns import MANY, campaign, finished, start, whole
from studies import TINY, command, shards

from raybayes.store import PARTIAL, Store
from raybayes.study.plan import Plan
from raybayes.study.run import Run
from raybayes.study.study import read_study


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

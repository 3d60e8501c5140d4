"""Are the simulations on disk whole, labelled and the same after a kill?"""

import signal
import subprocess
import sys
import time

import pytest
from studies import shards

from raybayes.store import PARTIAL, read_arrays
from raybayes.study.run import Run
from raybayes.study.study import read_study


def test_every_shard_says_what_made_it(tiny, tmp_path):
    run = Run(*read_study(tiny), tmp_path)
    run.campaign.run(range(2))
    arrays, header = read_arrays(run.store.path(1))
    assert arrays["theta"].shape == (50, 2) and arrays["profile"].shape == (50, 200)
    assert header["seed"] == 3 and header["shard"] == 1
    assert header["names"] == ["M4.rotationXerror", "M4.rotationZerror"]
    assert "raybayes" in header["made_by"] and header["study"] == run.store.header["study"]


FILL = "import sys; from pathlib import Path; from raybayes import Run, read_study; " \
    "Run(*read_study(sys.argv[1]), Path(sys.argv[2])).simulate()"  # fmt: skip


@pytest.mark.slow
def test_killed_at_five_moments(tiny, tmp_path):
    """SIGKILL after a growing number of shards: nothing finished is lost, the bytes agree."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    Run(*read_study(tiny), whole).simulate()
    for moment in range(5):
        process = subprocess.Popen([sys.executable, "-c", FILL, str(tiny), str(killed)])
        wanted = 2 * moment + 1
        while process.poll() is None and len(shards(killed)) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished = shards(killed)
        assert len(finished) >= wanted
        assert finished.items() <= shards(whole).items()
    Run(*read_study(tiny), killed).simulate()
    assert shards(killed) == shards(whole)
    assert not list((killed / "simulations").glob(f"{PARTIAL}*"))

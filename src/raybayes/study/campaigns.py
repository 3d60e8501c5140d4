"""Campaigns from a study's name: fill a store with progress, plan large ones, write job scripts.

It imports no JAX: a machine that only simulates needs none.
"""

import os
import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from raybayes.errors import InputError
from raybayes.simulate.campaign import Campaign, Tally, tally
from raybayes.simulate.cluster import run_on_dask
from raybayes.study.accuracy import proven, said, silent, write_proven
from raybayes.study.plan import Plan

SHORTEST = 2.0  # s: how long the trial of a plan goes on
WALL_HOURS = 24.0  # that a plan asks cores for


@dataclass(frozen=True)
class Request:
    """Which simulations of which study, and where they go.

    Attributes:
        n: how many; None for as many as the study says.
        shards: first and last of those to make here; None for all.
        dask: where; see `run_on_dask`; "" for this process.
        workers: of Dask.
    """

    study: str
    out: Path
    n: int | None = None
    shards: tuple[int, int] | None = None
    dask: str = ""
    workers: int | None = None


def simulate_study(request: Request, quiet: bool = False) -> dict[str, Any]:
    """Make what is missing of a study's simulations; what became of all that were asked for.

    Raises:
        InputError: the study's, the engine's, the disk's, or too many simulations failed.
    """
    plan, beamline = Plan.read(request.study)
    plan, found = proven(plan, beamline, request.out, silent if quiet else said)
    campaign = plan.campaign(beamline, request.out.resolve())
    campaign.store.open()
    if found:
        write_proven(found, request.out)
    n = request.n or plan.simulations
    shards = chosen(campaign, n, request.shards)
    missing = len(campaign.store.missing(shards))
    with Bar(campaign, len(shards), missing, quiet) as bar:
        if request.dask:
            run_on_dask(campaign, shards, request.dask, request.workers, bar.add)
        else:
            campaign.run(shards, bar.add)
    total = tally(campaign.store, shards)
    return {
        "study": plan.name,
        "folder": str(campaign.store.folder),
        "shards": len(shards),
        "made_now": missing,
        "simulations": total.simulations,
        "failed": dict(total.failed),
        "retried": total.retried,
        "dark": total.lost,
        "notes": [*(found.sentences if found else []), *total.sentences()],
    }


def chosen(campaign: Campaign, n: int, shards: tuple[int, int] | None) -> range:
    """The shards of n simulations, or those from a first to a last one of them."""
    every = campaign.store.shards(n)
    if shards is None:
        return every
    first, last = shards
    if first > last or first >= len(every):
        raise InputError(
            f"--shards {first}-{last}: {n} simulations are the shards 0-{len(every) - 1}"
        )
    return range(first, min(last + 1, len(every)))


class Bar:
    """Progress with rate and time left, and the tally of what is made now."""

    def __init__(self, campaign: Campaign, shards: int, missing: int, quiet: bool) -> None:
        self.tally = Tally()
        self._size = campaign.store.shard_size
        self._bar = tqdm(
            total=shards * self._size,
            initial=(shards - missing) * self._size,  # of which the rate knows nothing
            desc="simulate",
            unit="sim",
            unit_scale=True,
            disable=quiet,
        )

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, header: dict[str, Any]) -> None:
        """Of one shard, by its header."""
        self.tally.add(header, self._size)
        failed = self.tally.failed.total()
        if failed:
            self._bar.set_postfix_str(f"{failed} failed", refresh=False)
        self._bar.update(self._size)


def plan_study(request: Request, cores: int | None = None) -> dict[str, Any]:
    """What n simulations take, from a trial of some seconds on this machine.

    Args:
        cores: to use; None for as many as finish within a day.
    """
    plan, beamline = Plan.read(request.study)
    plan, _ = proven(plan, beamline, request.out)
    campaign = plan.campaign(beamline, request.out)
    n = request.n or plan.simulations
    seconds, row = _trial(campaign)
    core_hours = n * seconds / 3600
    wanted = cores or max(1, int(np.ceil(core_hours / WALL_HOURS)))
    shards = campaign.store.shards(n)
    return {
        "study": plan.name,
        "simulations": n,
        "shards": len(shards),
        "bytes_per_shard": row * plan.shard,
        "bytes": row * plan.shard * len(shards),
        "per_second_and_core": 1 / seconds,
        "seconds_per_shard_and_core": seconds * plan.shard,
        "core_hours": core_hours,
        "cores": wanted,
        "hours": core_hours / wanted,
    }


def _trial(campaign: Campaign) -> tuple[float, int]:
    """CPU seconds of one simulation, on all the cores that it takes here, and its bytes."""
    count = min(campaign.store.shard_size, 16)
    arrays, _ = campaign.shard(0, count)  # compiles
    wall, cpu, made = time.perf_counter(), _cpu(), 0
    while (spent := time.perf_counter() - wall) < SHORTEST or made == 0:
        campaign.shard(1 + made, count)
        made += count
        if spent < SHORTEST / 4:
            count = min(campaign.store.shard_size, 2 * count)
    return (_cpu() - cpu) / made, sum(array[:1].nbytes for array in arrays.values())


def _cpu() -> float:
    """Seconds of this process and of the programs that it ran."""
    return sum(os.times()[:4])


@dataclass(frozen=True)
class Job:
    """What a Slurm script asks for.

    Attributes:
        jobs: how many; time: of each, as Slurm writes it; extra: more #SBATCH lines' texts.
    """

    jobs: int
    cores: int = 4
    memory: str = "4GB"
    time: str = "04:00:00"
    partition: str = ""
    extra: tuple[str, ...] = ()

    def directives(self, **others: str) -> list[str]:
        """The script's #SBATCH lines."""
        options = {"partition": self.partition, "time": self.time, **others}
        lines = [f"--{name}={value}" for name, value in options.items() if value]
        return [f"#SBATCH {line}" for line in (*lines, *self.extra)]


def array_script(request: Request, job: Job) -> str:
    """A job array without Dask: task i makes the i-th part of the shards."""
    plan, beamline = Plan.read(request.study)
    total = len(plan.store(beamline, request.out).shards(request.n or plan.simulations))
    jobs = min(job.jobs, total)
    each = -(-total // jobs)
    jobs = -(-total // each)
    head = job.directives(
        array=f"0-{jobs - 1}", **{"cpus-per-task": str(job.cores), "mem": job.memory.rstrip("B")}
    )
    lines = (
        f"# {request.n or plan.simulations} simulations, {total} shards, {each} for each task. "
        "Submit it again to",
        "# make what a task that was killed left out; what is there is not made again.",
        f"first=$((SLURM_ARRAY_TASK_ID * {each}))",
        f"last=$((first + {each - 1}))",
        f"export NUMBA_NUM_THREADS={job.cores}",
        f"exec {_command(request)} --shards $first-$last",
    )
    return "\n".join(["#!/bin/sh", _job_name(plan), *head, *lines]) + "\n"


def dask_script(request: Request, job: Job) -> str:
    """One small job that submits the workers' jobs through dask-jobqueue, and follows them."""
    plan, _ = Plan.read(request.study)
    options = {
        "CORES": "1",  # threads of a worker; its simulations use all the job's cores
        "PROCESSES": "1",
        "JOB_CPU": str(job.cores),
        "MEMORY": job.memory,
        "WALLTIME": job.time,
        "QUEUE": job.partition,
        "JOB_EXTRA_DIRECTIVES": repr(list(job.extra)) if job.extra else "",
        "JOB_SCRIPT_PROLOGUE": repr([f"export NUMBA_NUM_THREADS={job.cores}"]),
    }
    lines = [
        f"export DASK_JOBQUEUE__SLURM__{name}={shlex.quote(value)}"
        for name, value in options.items()
        if value
    ]
    head = job.directives(**{"cpus-per-task": "1", "mem": "2G"})
    last = f"exec {_command(request)} --dask slurm --workers {job.jobs}"
    return "\n".join(["#!/bin/sh", _job_name(plan), *head, *lines, last, ""])


def _job_name(plan: Plan) -> str:
    """Slurm takes no blanks in a directive."""
    name = re.sub(r"[^\w.-]+", "-", plan.name)
    return f"#SBATCH --job-name=raybayes-{name}"


def _command(request: Request) -> str:
    count = [] if request.n is None else ["-n", str(request.n)]
    parts = ["raybayes", "simulate", request.study, *count, "--out", str(request.out)]
    return shlex.join(parts)

"""raybayes simulate and cluster-script: campaigns of simulations."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from raybayes.cli.frame import (
    JSON,
    OUT,
    STUDY,
    app,
    bundled,
    one_sentence,
    say,
    warnings_as_sentences,
)
from raybayes.errors import InputError

WHERE = ("local", "slurm")


def _count(text: str) -> int:
    """70000 or 1e9."""
    try:
        n = int(float(text))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a number") from None
    if n < 1:
        raise typer.BadParameter("at least 1")
    return n


def _range(text: str) -> tuple[int, int] | None:
    """3-7, or 3 for that one alone; "" for all."""
    first, dash, last = text.partition("-")
    if text and not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise InputError(f"--shards {text}: give a range of shards, as 3-7")
    return (int(first), int(last if dash else first)) if text else None


N = Annotated[
    int | None,
    typer.Option(
        "-n",
        parser=_count,
        metavar="N",
        help="Simulations, 70000 or 1e9, in whole shards; default: the study's.",
    ),
]


class _DaskAlone(TyperCommand):
    """`--dask` without a value is `--dask local`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--dask" in args:
            after = args.index("--dask") + 1
            value = args[after] if after < len(args) else ""
            if value not in WHERE and "://" not in value:
                args = [*args[:after], WHERE[0], *args[after:]]
        return super().parse_args(ctx, args)


@dataclass(frozen=True)
class DaskOptions:
    """Where the simulations run."""

    dask: Annotated[
        str,
        typer.Option(
            "--dask", metavar="[local|slurm|tcp://...]", help="On Dask; alone: on this machine."
        ),
    ] = ""
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Dask's processes, or Slurm's jobs.")
    ] = None


@dataclass(frozen=True)
class PlanOptions:
    """What it would take."""

    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take; simulate nothing.")
    ] = False
    cores: Annotated[
        int | None, typer.Option("--cores", min=1, help="To plan for; default: done in a day.")
    ] = None


@app.command(cls=_DaskAlone)
@bundled
def simulate(
    study: STUDY,
    out: OUT,
    where: DaskOptions,
    planning: PlanOptions,
    n: N = None,
    shards: Annotated[
        str, typer.Option("--shards", metavar="A-B", help="Only these, as 3-7.")
    ] = "",
    as_json: JSON = False,
) -> None:
    """Fill a store with simulations; what is there already is not made again."""
    with one_sentence(), warnings_as_sentences():
        from raybayes.study.campaigns import Request, plan_study, simulate_study

        request = Request(study, out, n, _range(shards), where.dask, where.workers)
        if not shards:
            _check_all(study)
        if planning.plan:
            result = plan_study(request, planning.cores)
            say(result, as_json, _plan_lines(result))
        else:
            result = simulate_study(request, quiet=as_json)
            say(result, as_json, _result_lines(result))


def _check_all(study: str) -> None:
    """Of keys that a campaign does not need, too; where JAX is missing they wait."""
    from raybayes.study.plan import is_all

    if not is_all(study) and find_spec("jax") is not None:
        from raybayes.study.study import read_study

        read_study(study)


def _result_lines(result: dict[str, Any]) -> Iterator[str]:
    made, kept = result["made_now"], result["simulations"]
    yield f"{kept} simulations in {result['shards']} shards, {made} shards of them new"
    yield from result["notes"]
    yield f"store: {result['folder']}"


def _plan_lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"simulations   {result['simulations']:,}"
    yield f"shards        {result['shards']:,} of {result['bytes_per_shard'] / 1e6:.3g} MB"
    yield f"disk          {result['bytes'] / 1e9:,.4g} GB"
    yield (
        f"throughput    {result['per_second_and_core']:,.0f} simulations per second and core, "
        f"{result['seconds_per_shard_and_core']:.3g} s a shard (measured here)"
    )
    yield f"cost          {result['core_hours']:,.3g} core hours"
    yield f"time          {result['hours']:,.3g} hours on {result['cores']} cores"


@dataclass(frozen=True)
class JobOptions:
    """What is asked of Slurm."""

    jobs: Annotated[int, typer.Option("--jobs", min=1, help="How many.")] = 10
    cores: Annotated[int, typer.Option("--cores", min=1, help="Of each job.")] = 4
    memory: Annotated[str, typer.Option("--memory", help="Of each job.")] = "4GB"
    time: Annotated[str, typer.Option("--time", help="Of each job, as Slurm writes it.")] = (
        "04:00:00"
    )
    partition: Annotated[str, typer.Option("--partition", help="Slurm's.")] = ""
    sbatch: Annotated[
        list[str] | None, typer.Option("--sbatch", help="Another option of sbatch, as --account=x.")
    ] = None


@app.command("cluster-script")
@bundled
def cluster_script(
    study: STUDY,
    out: OUT,
    options: JobOptions,
    n: N = None,
    dask: Annotated[
        bool, typer.Option("--dask", help="Through dask-jobqueue, not as a job array.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the script as JSON.")] = False,
) -> None:
    """Print a job script for Slurm: `raybayes cluster-script ... > job.sh; sbatch job.sh`."""
    with one_sentence(), warnings_as_sentences():
        from raybayes.study.campaigns import Job, Request, array_script, dask_script

        _check_all(study)
        o = options
        job = Job(o.jobs, o.cores, o.memory, o.time, o.partition, tuple(o.sbatch or ()))
        request = Request(study, out, n)
        script = dask_script(request, job) if dask else array_script(request, job)
        say({"script": script}, as_json, iter([script.rstrip()]))

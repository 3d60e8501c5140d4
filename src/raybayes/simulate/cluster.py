"""A campaign on Dask: the same shards, made by any number of workers.

Workers write the shards themselves, into the folder that they share with this machine; only
headers travel. What was finished when a worker, the scheduler or this process died is there.
"""

import itertools
import logging
import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from raybayes.errors import InputError, stop_if_asked
from raybayes.simulate.campaign import Campaign
from raybayes.simulate.engines.protocol import needs

LOCAL, SLURM = "local", "slurm"
AHEAD = 1000  # shards that wait at the scheduler; it holds no more, however large the campaign
CONNECT = "10s"
_ONE = threading.Lock()  # a process makes one shard at a time: Numba has all of its threads

Progress = Callable[[dict[str, Any]], object]


def run_on_dask(
    campaign: Campaign,
    shards: Iterable[int],
    where: str,
    workers: int | None = None,
    progress: Progress = lambda header: None,
) -> int:
    """Make what is missing of these shards; how many shards were made.

    Args:
        where: "local" for processes on this machine, "slurm" for jobs that dask-jobqueue submits,
            else the address of a scheduler.
        workers: how many processes or jobs; None for one per core, or one job.

    Raises:
        InputError: Dask is missing, no scheduler answers, or it went away; or a shard's own.
    """
    distributed = needs("distributed")
    _quiet()
    campaign.store.open()
    todo = campaign.store.missing(shards)
    try:
        with _client(where, workers, len(todo)) as client:
            return _follow(distributed, client, campaign, todo, progress)
    except InputError:
        raise
    except (OSError, TimeoutError, distributed.client.FutureCancelledError) as error:
        raise InputError(
            f"the Dask scheduler ({where}) does not answer, or went away ({error}); what is "
            "finished is kept: run the same command again to go on"
        ) from error
    except distributed.KilledWorker as error:
        raise InputError(
            f"one shard killed worker after worker ({error}); do they have the memory?"
        ) from error


def _quiet() -> None:
    """What goes wrong is said once, as an InputError, and not in every log of Dask's client."""
    for name in [*logging.root.manager.loggerDict, "distributed"]:
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _follow(
    distributed: Any, client: Any, campaign: Campaign, todo: list[int], progress: Progress
) -> int:
    """Keep some shards ahead at the scheduler, and report each that is done."""
    run = uuid.uuid4().hex
    # A task, not scattered data: it is computed anew where the workers that held it are gone.
    held = client.submit(pickle.loads, pickle.dumps(campaign), key=f"campaign-{run}")
    waiting = iter(todo)

    def more(count: int) -> list[Any]:
        return [
            client.submit(_make, held, index, key=(f"shard-{run}", index))
            for index in itertools.islice(waiting, count)
        ]

    done = distributed.as_completed(more(AHEAD))
    for future in done:
        header = future.result()
        if "error" in header:
            raise InputError(header["error"])
        _check_shared(campaign, header)
        progress(header)
        stop_if_asked()
        done.update(more(1))
    return len(todo)


def _make(campaign: Campaign, index: int) -> dict[str, Any]:
    """What a worker does; a person's mistake is an answer, not a traceback in every log."""
    try:
        with _ONE:
            return campaign.make(index)
    except InputError as error:
        return {"error": str(error)}


def _check_shared(campaign: Campaign, header: dict[str, Any]) -> None:
    if not campaign.store.path(header["shard"]).exists():
        raise InputError(
            f"a worker wrote shard {header['shard']} to {campaign.store.folder}, but it is not "
            "there on this machine: workers and this machine must share the folder"
        )


@contextmanager
def _client(where: str, workers: int | None, shards: int) -> Iterator[Any]:
    distributed = needs("distributed")
    if where == LOCAL:
        cores = os.cpu_count() or 1
        processes = workers or max(1, min(cores, shards))
        threads = {"NUMBA_NUM_THREADS": str(max(1, cores // processes))}
        with (
            distributed.LocalCluster(
                n_workers=processes,
                threads_per_worker=1,
                dashboard_address=None,
                env=threads,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
    elif where == SLURM:
        with _slurm() as cluster, distributed.Client(cluster) as client:
            cluster.scale(jobs=workers or 1)
            yield client
    else:
        with _connected(distributed, where) as client:
            yield client


def _connected(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=CONNECT)
    except ValueError as error:
        raise InputError(f"--dask {address}: not the address of a scheduler ({error})") from error


def _slurm() -> Any:
    """As dask-jobqueue's own settings say; `raybayes cluster-script --dask` writes them."""
    try:
        return needs("dask_jobqueue").SLURMCluster()
    except (ValueError, TypeError) as error:
        raise InputError(
            f"--dask slurm: {error}; set them in dask-jobqueue's configuration, or submit the "
            "script that `raybayes cluster-script --dask` prints"
        ) from error

"""The workbench's answers, timed: an inference, one theta of the sliders, the exact likelihood.

python benchmarks/app.py out/ue112: milliseconds of what the server computes, median and the
quartiles of repeated calls, after a study was opened.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from raybayes.cli.frame import prepare_jax


def timed(name: str, call: Callable[[int], object], times: int) -> None:
    found, used = [], time.process_time()
    for i in range(times):
        begun = time.perf_counter()
        call(i)
        found.append(1e3 * (time.perf_counter() - begun))
    used = 1e3 * (time.process_time() - used) / times
    low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
    print(f"{name:42} {middle:7.1f} ms ({low:.1f} .. {high:.1f}), {used:7.1f} ms of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    prepare_jax()
    from raybayes.web.requests import AtTheta, Example, Opening, Refinement
    from raybayes.web.runs import find_runs
    from raybayes.web.session import Session
    from raybayes.web.uploads import Uploads

    with tempfile.TemporaryDirectory() as folder:
        session = Session(find_runs([out]), Uploads(Path(folder)), Path(folder))
        timed("opening", lambda i: session.open(Opening(study="1")), 1)
        timed("inference", lambda i: session.example(Example(study="1", number=i)), 30)
        first = session.example(Example(study="1"))
        theta = [row["median"] for row in first["rows"]]
        at = AtTheta(study="1", theta=theta, result=first["id"])
        timed("one theta of the sliders", lambda i: session.simulate(at), 200)
        timed("the beamline drawn", lambda i: session.layout(at), 10)
        timed(
            "the exact likelihood",
            lambda i: list(session.refine(Refinement(result=first["id"]))),
            10,
        )


if __name__ == "__main__":
    main()

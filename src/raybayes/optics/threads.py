"""A kernel over the parts of a range, in threads.

Not Numba's own parallel loops: they compile what a loop calls four times over, and lose what it
writes into the arrays of a tuple, in silence. A kernel that is compiled with `nogil` needs neither.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

PARTS = 4  # for each thread: one whose parts were quick takes more of them


def in_threads(kernel: Callable[[int, int], object], count: int) -> None:
    """kernel(start, stop) on parts of 0 ... count, in as many threads as Numba may use."""
    threads = min(numba.get_num_threads(), count)
    if threads < 2:
        kernel(0, count)
        return
    step = -(-count // (PARTS * threads))
    starts = range(0, count, step)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(kernel, starts, [min(start + step, count) for start in starts]))

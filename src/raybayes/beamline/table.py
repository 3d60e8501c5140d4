"""RAY-UI's own ray table, RawRaysOutgoing: rays that leave an element, one a line."""

import io
import os

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.trace import Rays
from raybayes.store import write_whole

NAMES = "RN RS RO OX OY OZ DX DY DZ EN PL S0 S1 S2 S3"
COLUMNS = tuple(NAMES.split(" "))
SURVIVED = 2  # RS, as RAY-UI writes it


def ray_table(rays: Rays) -> dict[str, Array]:
    """RAY-UI's columns of the rays that arrived: {"RN": [n], "OX": [n], ...}.

    RN is the index of the source's ray; O* are mm, D* direction cosines in the element's frame,
    EN is eV, PL the path beyond that of the design ray (mm), S0..S3 the Stokes vector.
    """
    number = np.flatnonzero(rays.arrived)
    x, y, z, dx, dy, dz, energy = rays.values[:, number]
    state = np.full(len(number), SURVIVED, np.float64)
    optics = np.full(len(number), float(rays.deflected))
    values = (number, state, optics, x, y, z, dx, dy, dz, energy, rays.path[number])
    return dict(zip(COLUMNS, (*values, *rays.stokes[:, number]), strict=True))


def write_table(rays: Rays, path: str | os.PathLike[str]) -> None:
    """Write `ray_table` as RAY-UI does: tab-separated, the element's name before each column.

    Raises:
        InputError: the file cannot be written.
    """
    table = ray_table(rays)
    buffer = io.BytesIO()
    header = "\t".join(f"{rays.plane}_{column}" for column in COLUMNS)
    buffer.write(f"sep=\t\n{header}\n".encode())
    np.savetxt(buffer, np.stack(list(table.values()), axis=1), fmt="%.15g", delimiter="\t")
    write_whole(path, buffer.getvalue())

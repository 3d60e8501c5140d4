"""What a study may want to read: two profiles or an image, and a beam."""

import numpy as np

from raybayes.observations import Reading, Target


def edges(n, pitch):
    return (np.arange(n + 1) - n / 2) * pitch


PROFILES = Target("profiles", (edges(10, 0.01), edges(8, 0.005)))
IMAGE = Target("image", (edges(6, 0.01), edges(4, 0.01)))


def beam(rows=40, columns=60, x=0.2, y=-0.1):
    """An image whose beam stands right of and below its middle; the first row is the top."""
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(1, -1, rows))
    return np.round(2000 * np.exp(-(((u - x) / 0.3) ** 2) - ((v - y) / 0.4) ** 2) + 3)


BIG = Reading(pixel_size=0.002)


MIDDLES = [(e[1:] + e[:-1]) / 2 for e in PROFILES.edges]
LOPSIDED = [100.0 * np.arange(len(middles)) ** 2 + 5 for middles in MIDDLES]


def table(path, side, counts, heading):
    np.savetxt(path, np.column_stack((MIDDLES[side], counts)), header=heading, comments="",
               delimiter=",")  # fmt: skip
    return path


def said(observation):
    return " ".join(observation.done)

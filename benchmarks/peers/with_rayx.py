"""RAYX: it takes a file, not rays, so a theta is a file with other world coordinates.

It draws its own rays, without a seed. It cannot misalign an element from its parameters, and it
hits elements out of order; `trace` counts the rays whose last hit is on the image plane after
one hit on each element.
"""

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rayx


class Peer:
    def __init__(self, scene):
        self.scene = scene
        self.folder = Path(tempfile.mkdtemp())

    def trace(self, i, rays):
        traced = rayx.import_beamline(str(self.write(i, rays.shape[1]))).trace()
        hits = np.bincount(traced.path_id)
        last = np.asarray(traced.object_id) == len(self.scene["kinds"])
        good = last & (hits[traced.path_id] == len(self.scene["kinds"]) + 1)
        return np.stack((traced.position_x, traced.position_y))[:, good], good[good]

    def write(self, i, rays):
        tree = ElementTree.ElementTree(ElementTree.fromstring(str(self.scene["rml"])))
        source, *elements = tree.getroot().iter("object")
        source.find("param[@id='numberRays']").text = str(rays)
        for k, element in enumerate(elements):
            axes = self.scene["axes"][i, k]
            vectors = (self.scene["origins"][i, k], *axes.T)
            names = ("Position", "Xdirection", "Ydirection", "Zdirection")
            for name, vector in zip(names, vectors, strict=True):
                param = element.find(f"param[@id='world{name}']")
                for axis, value in zip("xyz", vector, strict=True):
                    param.find(axis).text = f"{value:.17g}"
        path = self.folder / f"{i}.rml"
        tree.write(path)
        return path

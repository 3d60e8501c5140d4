"""Surfaces and gratings of xrt, on the CPU, without OpenCL."""

import numpy as np
import xrt.backends.raycing as raycing
from scipy.spatial.transform import Rotation
from xrt.backends.raycing.materials import Material
from xrt.backends.raycing.oes import OE, ToroidMirror
from xrt.backends.raycing.sources import Beam

FLAT = 1e30  # mm


class CircularToroid(ToroidMirror):
    """xrt's torus is a parabola along the beam; this one is a circle, as in RAY-UI."""

    def local_z(self, x, y):
        across = np.sqrt(np.maximum(self.r**2 - x**2, 0))  # xrt looks for hits far outside, too
        sagitta = x**2 / (self.r + across)
        root = np.sqrt(np.maximum((self.R - sagitta) ** 2 - y**2, 0))
        return sagitta + y**2 / (self.R - sagitta + root)

    def local_n(self, x, y):
        across = np.sqrt(np.maximum(self.r**2 - x**2, 0))
        big = self.R - x**2 / (self.r + across)
        root = np.sqrt(np.maximum(big**2 - y**2, 0))
        normal = np.stack((-big * x / (across * root), -y / root, np.ones_like(x)))
        return list(normal / np.linalg.norm(normal, axis=0))


class Peer:
    same_torus = False

    def __init__(self, scene):
        self.scene = scene
        self.line = raycing.BeamLine()

    def element(self, k, axes, origin):
        roll, yaw, pitch = Rotation.from_matrix(axes).as_euler("YZX")
        big, small = self.scene["radii"][k]
        options = {"center": list(origin), "pitch": pitch, "roll": roll, "yaw": yaw}
        options |= {"rotationSequence": "RyRzRx", "targetOpenCL": None, "bl": self.line}
        if self.scene["lines"][k]:
            grating = Material("Au", kind="grating", rho=19.3, efficiency=[(1, 1.0)])
            density = ["y", self.scene["lines"][k], 1]
            return OE(material=grating, gratingDensity=density, order=-1, **options)
        if np.isinf(big) and np.isinf(small):
            return OE(**options)
        torus = CircularToroid if self.same_torus and np.isfinite(big) else ToroidMirror
        return torus(R=min(big, FLAT), r=min(small, FLAT), **options)

    def reflect(self, k, axes, origin, places, directions, energy):
        beam = Beam(nrays=len(energy), forceState=1)
        beam.x, beam.y, beam.z = np.array(places)
        beam.a, beam.b, beam.c = np.array(directions)
        beam.E, beam.Jss, beam.path = energy.copy(), np.ones_like(energy), np.zeros_like(energy)
        out, _ = self.element(k, axes, origin).reflect(beam)
        return np.stack((out.x, out.y, out.z)), np.stack((out.a, out.b, out.c))

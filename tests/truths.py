"""Simulators of two parameters of UE112, one right and one wrong."""

import numpy as np

from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator
from raybayes.study.plan import Plan

PLAN, BEAMLINE = Plan.read("ue112")
TWO = ("M4.rotationXerror", "IP.distanceImagePlane")


def simulator(kind=Simulator, **tracing):
    whole = PLAN.simulator(BEAMLINE).settings[0].simulator
    columns = [list(whole.names).index(name) for name in TWO]
    low, high = (np.asarray(end)[columns] for end in whole.support)
    changed = whole.tracing.model_copy(update=tracing)
    return JointSimulator.alone(kind(BEAMLINE, TWO, (low, high), whole.detector, changed, 1))


class Bright(Simulator):
    """Its expected profile has half as much light again as its rays."""

    def profiles(self, theta, key=0):
        found, transmission = super().profiles(theta, key)
        return (1.5 if self.tracing.mode == "expected" else 1.0) * found, transmission

"""Can every shipped study be read, and what do its profiles constrain?"""

from dataclasses import replace

import pytest
from studies import UE112

from raybayes.simulate.derivatives import information
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Tracing
from raybayes.study.plan import SHIPPED, Plan


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_studies(name):
    plan, beamline = Plan.read(name)
    assert plan.name == name and plan.campaign(beamline, UE112.parent).size == plan.detectors.size


KNOWN = {"ue112-wellposed": 6, "ue112-rigid-m4": 4}


@pytest.mark.parametrize("name", KNOWN)
def test_what_profiles_constrain(name):
    """Fisher information: all six are learned, or four directions of a rigid body's six."""
    plan, beamline = Plan.read(name)
    fine = replace(
        plan.simulator(beamline).settings[0].simulator, tracing=Tracing(rays=4096), seed=1
    )
    simulator, (low, high) = JointSimulator.alone(fine), fine.support
    found = information(simulator, low + 0.3 * (high - low))
    assert found.identifiable == KNOWN[name]
    if KNOWN[name] == 6:
        assert (found.sd < 0.6).all()

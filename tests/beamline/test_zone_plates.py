"""Zone plates whose zones are given by their centre, against RAY-UI's own tables.

ReflectionZonePlateDefault200 and ReflectionZonePlateMis of RAYX's tests (hz-b/rayx, MIT): the rays
that RAY-UI lets arrive, their number at the source and x, y (mm) on the image plane. S0 is 1 in
every row, though gratingEfficiency is 0.5 and the zone plate is "Derived by Material".
"""

import numpy as np
import pytest
from beamlines import element

from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.model import Beamline
from raybayes.beamline.trace import trace
from raybayes.errors import InputError

SOURCE = {
    "numberRays": 200, "sourceWidth": 0.065, "sourceHeight": 0.04, "horDiv": 1, "verDiv": 1,
    "energyDistributionType": 1, "photonEnergy": 100, "linearPol_0": 1,
}  # fmt: skip
PLATE = {
    "geometricalShape": 0, "totalWidth": 50, "totalLength": 200, "gratingMount": 1,
    "grazingIncAngle": 1, "distancePreceding": 10000, "orderDiffraction": -1,
    "designEnergy": 100, "designOrderDiffraction": -1, "designAlphaAngle": 1,
    "entranceArmLengthSag": 100, "entranceArmLengthMer": 100, "exitArmLengthSag": 500,
    "exitArmLengthMer": 500, "curvatureType": 0, "designType": 0, "FresnelZOffset": 0,
    "designBetaAngle": 7, "imageType": 0, "rzpType": 0, "refracMethod": 1, "derivationMethod": 0,
    "lineProfile": 3, "gratingEfficiency": 0.5, "reflectivityType": 1, "materialSubstrate": "Au",
}  # fmt: skip
MISALIGNED = {
    "alignmentError": 0, "translationXerror": 1, "translationYerror": 2, "translationZerror": 3,
    "rotationXerror": 1, "rotationYerror": 2, "rotationZerror": 3,
}  # fmt: skip
ALIGNED_ROWS = """
74 13.0080819586263 -3.55039198012683
75 7.80445985461449 2.59017501256696
76 2.60145640654501 5.04038185693976
77 -2.60145640654501 5.04038185693976
78 -7.80445985461449 2.59017501256696
79 -13.0080819586263 -3.55039198012683
89 10.4355735762951 -3.40962041365316
90 3.47840647835211 2.27303879243129
91 -3.47840647835211 2.27303879243129
92 -10.4355735762951 -3.40962041365316
104 5.38521177718623 -11.823373455208
105 -5.38521177718623 -11.823373455208
"""
MISALIGNED_ROWS = """
33 15.2178846039661 -2.27812235276093
34 10.5356142692881 3.22360224458875
35 5.8569771258069 5.70436228240113
36 1.17835572213446 6.17807172890309
37 -3.50086254792439 4.7747168965513
38 -8.17961496849908 1.04297328415852
39 -12.8513941398538 -7.58430558425495
48 12.6303461839354 -1.8455126533042
49 6.50259241149319 3.3099566839734
50 0.376791363055202 4.05224882264322
51 -5.74935188767075 0.943122627776818
52 -11.8644445235407 -10.3799614181913
63 8.05906768193255 -5.03897361976981
64 -1.11211514174535 -3.03174636563669
"""


def beamline(**changes):
    return Beamline(
        "1.15",
        (
            element("S", "Matrix Source", SOURCE),
            element("Z", "Reflection Zoneplate", PLATE | changes),
            element("I", "ImagePlane", {"distanceImagePlane": 1000}),
        ),
    )


@pytest.mark.parametrize("errors, rows", [({}, ALIGNED_ROWS), (MISALIGNED, MISALIGNED_ROWS)])
def test_rays_are_those_of_ray_uis_table(errors, rows):
    """The stale designBetaAngle, 7 here, does not count."""
    theirs = np.array([line.split() for line in rows.split("\n") if line], float)
    rays = trace(beamline(**errors), 200)
    assert np.flatnonzero(rays.arrived).tolist() == theirs[:, 0].tolist()
    np.testing.assert_allclose(rays.values[:2, rays.arrived].T, theirs[:, 1:], rtol=0, atol=1e-9)
    assert (rays.stokes[0, rays.arrived] == 1).all()


def test_a_centre_elsewhere_is_refused():
    with pytest.raises(InputError, match="'FresnelZOffset': 3 is not modelled; set it to 0"):
        compile_beamline(beamline(FresnelZOffset=3))
    compile_beamline(beamline(FresnelZOffset=3, designType=1))  # there it does not count

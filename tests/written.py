"""A small beamline as a file, written by hand: a source, a mirror, an image plane."""

SOURCE = """<object name="S" type="Point Source">
<param id="numberRays" enabled="T">500</param>
<param id="sourceWidth" enabled="T">0.05</param>
<param id="sourceHeight" enabled="T">0.02</param>
<param id="horDiv" enabled="T">0.1</param>
<param id="verDiv" enabled="T">0.05</param>
<param id="energyDistributionType" enabled="T">1</param>
<param id="photonEnergy" enabled="T">400</param>
<param id="linearPol_0" enabled="T">1</param>
</object>"""
MIRROR = """<object name="M" type="Plane Mirror">
<param id="totalWidth" enabled="T">100</param>
<param id="totalLength" enabled="T">1000</param>
<param id="grazingIncAngle" enabled="T">2</param>
<param id="distancePreceding" enabled="T">10000</param>
</object>"""
PLANE = """<object name="IP" type="ImagePlane">
<param id="distanceImagePlane" enabled="T">1000</param>
</object>"""


def written(folder, *objects, version="1.16"):
    path = folder / "beamline.rml"
    body = "\n".join(objects)
    path.write_text(
        f"<lab>\n<version>{version}</version>\n<beamline>\n{body}\n</beamline>\n</lab>\n",
        encoding="utf-8",
    )
    return path

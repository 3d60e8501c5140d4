"""The numbers that describe one element: the columns of a row, the components of a ray.

A beamline is a table with one row per element, so a new theta or another beamline changes
numbers and never code.
"""

from typing import Any, NamedTuple

from raybayes.array_types import Array

# No fast-math: with fused multiply-adds the last bit would depend on what LLVM inlines, and so on
# whether a caller was compiled or came from the cache. Strict arithmetic gives the same bytes.
JIT: Any = {"cache": True, "error_model": "numpy"}

X, Y, Z, DX, DY, DZ, E = range(7)  # of a ray: mm, direction cosines, eV
RAY = 7

KIND = 0  # SCREEN, PLANE, QUADRIC or TOROID
ROTATION = 1  # 9 numbers: previous frame -> this frame, row by row
OFFSET = 10  # 3 numbers, mm
SHAPE = 13  # of the cutout: RECTANGLE, ELLIPSE or TRAPEZOID
CUTOUT = 14  # half width, half length (mm), centre along z
OPENING = 17  # of a slit: half width, half height (mm)
SLOPE = 19  # rms slope error, sagittal and meridional (rad)
WAVELENGTH_SHIFT = 21  # grating: hc m N 1e-6 (eV), over the energy it is m N lambda; 0: mirror
SURFACE = 22  # quadric: a11 a22 a33 a12 a13 a23 a14 a24 a34 a44; toroid: R, rho
ACROSS = 32  # 1: the surface is met near z = 0 (a screen, a paraboloid), 0: near y = 0
TAPER = 33  # of a trapezoid: growth of the half width per mm of z
OPENING_SHAPE = 34  # of a slit's opening: RECTANGLE or ELLIPSE
STOP = 35  # beamstop of a slit: shape (-1 for none), half width, half height (mm)
LINES = 38  # EQUIDISTANT, VARIED or ZONES
PATTERN = 39  # VARIED: six VLS parameters; ZONES: see raybayes.optics.lines
ORDERS = 46  # 1: half of the rays, drawn by chance, stay in order zero (additionalOrder)
PROFILE = 47  # 1 + where the measured profile stands in `Tables.heights`; 0: none
DIFFRACTION = 48  # slit diffraction: hc (eV mm) over the opening's width and height, eV; 0: none
COATING = 50  # PERFECT, GIVEN, LAYERS, FOIL or CRYSTAL
TURN = 51  # cos and sin of twice the azimuth: the element's s and p in the beam's frame
GIVEN_S = 53  # GIVEN: reflectivities s and p, phase of p against s (rad)
BILAYERS = 56  # LAYERS: how often coating 1 on coating 2 is repeated
# LAYERS and FOIL: material (-1 for none), density (g/cm3), thickness (nm), roughness (nm)
TOP, COATING1, COATING2, SUBSTRATE = 57, 61, 65, 69
# CRYSTAL: 2 d (nm), unit cell (nm3), asymmetry (rad), then F0, FH, FHbar, real and imaginary
LATTICE = 57
COLUMNS = 80

SCREEN, QUADRIC, TOROID, PLANE = 0.0, 1.0, 2.0, 3.0
RECTANGLE, ELLIPSE, TRAPEZOID = 0.0, 1.0, 2.0
NO_STOP = -1.0
EQUIDISTANT, VARIED, ZONES = 0.0, 1.0, 2.0
PERFECT, GIVEN, LAYERS, FOIL, CRYSTAL = 0.0, 1.0, 2.0, 3.0, 4.0


class Tables(NamedTuple):
    """What the rows of a beamline point to.

    Attributes:
        grid, factors: optical constants, [g] eV and [materials, g, 2] mol/g, f1 and f2 over the
            molar mass.
        hc: nm eV.
        heights: measured profiles, one after the other; see `raybayes.optics.profile`.
    """

    grid: Array
    factors: Array
    hc: float
    heights: Array

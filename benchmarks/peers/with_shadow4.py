"""Surfaces and gratings of shadow4. Its unit is the metre."""

import numpy as np
from shadow4.beam.s4_beam import S4Beam
from shadow4.optical_surfaces.s4_conic import S4Conic
from shadow4.optical_surfaces.s4_toroid import S4Toroid


class Peer:
    def __init__(self, scene):
        self.surfaces = [surface(*radii / 1e3) for radii in scene["radii"]]
        self.lines = scene["lines"] * 1e3

    def reflect(self, k, axes, origin, places, directions, energy):
        rays = np.zeros((len(energy), 18))
        rays[:, :3] = (axes.T @ (places - origin[:, None])).T / 1e3
        rays[:, 3:6] = (axes.T @ directions).T
        rays[:, 6] = rays[:, 9] = 1
        beam = S4Beam.initialize_from_array(rays)
        beam.set_photon_energy_eV(energy)
        if self.lines[k]:
            out, *_ = self.surfaces[k].apply_grating_diffraction_on_beam(
                beam, ruling=[self.lines[k]], order=-1, f_ruling=0, invert_normal=1
            )
        else:
            out, *_ = self.surfaces[k].apply_specular_reflection_on_beam(beam)
        places = axes @ out.rays[:, :3].T * 1e3 + origin[:, None]
        return places, axes @ out.rays[:, 3:6].T


def surface(big, small):
    """Radii along and across, m: a torus, a sagittal cylinder or a plane."""
    if np.isfinite(big):
        return S4Toroid(r_maj=big - small, r_min=small)
    if np.isfinite(small):
        return S4Conic(ccc=np.array([1.0, 0, 1, 0, 0, 0, 0, 0, -2 * small, 0]))
    return S4Conic(ccc=np.array([0.0, 0, 0, 0, 0, 0, 0, 0, -1, 0]))

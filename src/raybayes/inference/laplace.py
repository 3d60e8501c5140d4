"""A proposal made of Laplace's approximations at the modes: a mixture of multivariate t in z."""

import numpy as np
from scipy.special import logsumexp

from raybayes.inference.proposal import Components
from raybayes.inference.scoring import Tops

NEGLIGIBLE = 20.0  # nats below the largest mass, from which a mode is none
SAME = 0.5  # sd: tops nearer than this are one
FEW = 0.1  # of the draws, shared by all components whatever their mass
WIDER = 1.3  # than Laplace's standard deviations


def apart(tops: Tops) -> Tops:
    """Those with some mass, the largest first, each place once."""
    order = np.argsort(-tops.log_mass)
    kept: list[int] = []
    for i in order:
        if tops.log_mass[i] < tops.log_mass[order[0]] - NEGLIGIBLE:
            break
        away = tops.z[i] - tops.z[kept]
        far = np.sqrt(np.einsum("kd,kde,ke->k", away, tops.precision[kept], away))
        if (far > SAME).all():
            kept.append(int(i))
    return tops.picked(np.array(kept, int))


def laplace_mixture(tops: Tops) -> Components:
    """q(z) of tops [k]: t distributions with their covariances, shared out by their masses."""
    mass = np.exp(tops.log_mass - logsumexp(tops.log_mass))
    return Components((1 - FEW) * mass + FEW / len(mass), tops.z, WIDER**2 * tops.covariance)

"""A proposal made of Laplace's approximations at the modes: a mixture of multivariate t in z."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_t

from raybayes.array_types import Array
from raybayes.inference.proposal import DEGREES_OF_FREEDOM
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


class LaplaceMixture:
    """q(z) of tops [k]: t distributions with their covariances, shared out by their masses."""

    def __init__(self, tops: Tops) -> None:
        mass = np.exp(tops.log_mass - logsumexp(tops.log_mass))
        self.share = (1 - FEW) * mass + FEW / len(mass)
        self.components = [
            multivariate_t(z, WIDER**2 * covariance, DEGREES_OF_FREEDOM)
            for z, covariance in zip(tops.z, tops.covariance, strict=True)
        ]

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, d], in no order."""
        counts = rng.multinomial(n, self.share)
        drawn = [
            component.rvs(count, random_state=rng).reshape(count, component.dim)
            for component, count in zip(self.components, counts, strict=True)
        ]
        return rng.permutation(np.concatenate(drawn))

    def log_prob(self, z: Array) -> Array:
        """[n], in nats, at z [n, d]."""
        logs = np.stack([np.reshape(each.logpdf(z), len(z)) for each in self.components])
        return logsumexp(logs, axis=0, b=self.share[:, None])

"""One small network of every kind, and one prior."""

from raybayes.density import (
    FlowConfig,
    cinn,
    deep,
    flow_matching,
    maf_nsf,
    mixture,
    nsf,
    rnade,
)
from raybayes.prior import (
    Independent,
    LogNormal,
    LogUniform,
    Normal,
    TruncatedNormal,
    Uniform,
    box,
)

BOX = box(("a", "b"), (-1.0, 2.0), (1.0, 6.0))
SMALL = {"layers": 4, "widths": (32,), "embedding": {"widths": (32, 16)}}
DENSITIES = {
    "deep": deep(**SMALL),
    "Steinbach (2021)": cinn(**{**SMALL, "embedding": {"widths": ()}}),
    "rotations, actnorm": FlowConfig(**SMALL, actnorm=True, activation="tanh"),
    "spline coupling": nsf(**SMALL),
    "affine and spline": nsf(**SMALL, transform="affine_spline", bins=5),
    "autoregressive splines": maf_nsf(**{**SMALL, "widths": (32, 32)}),
    "autoregressive affine": FlowConfig(**SMALL, structure="autoregressive", mixing="permutation"),
    "residual embedding": deep(**{**SMALL, "embedding": {"kind": "residual", "width": 16}}),
    "convolution": deep(
        **{**SMALL, "embedding": {"kind": "convolution", "shape": (1, 5), "channels": (4,)}}
    ),
    "image": deep(
        **{**SMALL, "embedding": {"kind": "convolution", "shape": (1, 5, 1), "channels": (3, 4)}}
    ),
    "set": deep(**{**SMALL, "embedding": {"kind": "set", "items": 5, "widths": (16, 16)}}),
    "autoregressive mixtures": rnade(components=3, widths=(32, 32), embedding={"widths": (32, 16)}),
    "mixtures, linear start": rnade(
        components=3, widths=(32, 32), embedding={"widths": (32, 16)}, start="linear"
    ),
    "mixture": mixture(components=3, widths=(16,), embedding={"widths": (32, 16)}),
    "flow matching": flow_matching(widths=(32, 32), embedding={"widths": (32, 16)}),
    "ensemble": deep(**SMALL, members=3),
    "linear start": deep(**SMALL, start="linear"),
    "few wide layers": deep(**{**SMALL, "widths": (256, 256)}),
}
PRIORS = {
    "box": BOX,
    "normal": Independent(("a", "b"), (Normal(mean=3, sd=0.1), Normal(mean=0, sd=1))),
    "logarithms": Independent(
        ("a", "b"), (LogUniform(low=0.01, high=10), LogNormal(mean=-1, sd=0.5))
    ),
    "truncated": Independent(
        ("a", "b"), (TruncatedNormal(mean=0, sd=1, low=-1, high=3), Uniform(low=0, high=1))
    ),
}

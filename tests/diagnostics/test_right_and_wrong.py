"""Does every diagnostic pass a right posterior and fail those that are wrong on purpose?"""

from dataclasses import is_dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
from judged import ALARMS, CASES, OBSERVED, POSTERIORS, Claimed, Judged, readings, simulate

from raybayes import diagnostics
from raybayes.diagnostics import (
    c2st,
    calibration,
    conformal,
    conformal_hpd_level,
    evidence_alarm,
    hpd,
    local_c2st,
    mmd,
    prdc,
    predictive_check,
    ranks,
    references,
    sbc,
    tarp,
    together,
)
from raybayes.errors import InputError


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("case", CASES)
def test_right_passes_and_wrong_fails(case, posterior, judged):
    p_value = np.min(CASES[case].run(judged[posterior]).p_value)
    if posterior == "right" or posterior in CASES[case].blind:
        assert p_value > 0.01
    else:
        assert p_value < 1e-3


@pytest.mark.parametrize("posterior", [Claimed(scale=5), Claimed(shift=6)])
def test_predictive_check_sees_what_shows_in_the_data(posterior):
    result = predictive_check(*readings(Judged(posterior)))
    assert result.p_value < 1e-3 and result.chi2_per_bin > 4


@pytest.mark.parametrize("observed", OBSERVED)
@pytest.mark.parametrize("alarm", ALARMS)
def test_alarms(alarm, observed):
    rng = np.random.default_rng(4)
    x, simulated = OBSERVED[observed](rng), simulate(rng.standard_normal((2400, 2)), rng)
    result = ALARMS[alarm].diagnostic(*ALARMS[alarm].arguments(simulated, x))
    if observed == "right":
        assert result.p_value.min() > 0.01 / len(result.p_value)
        assert result.raised().mean() < 0.15
    else:
        assert result.p_value.min() < 1e-3 and result.raised().mean() > 0.4


def test_every_diagnostic_has_a_case():
    """A new function that returns a result needs a case above."""
    public = [getattr(diagnostics, name) for name in diagnostics.__all__]
    results = {one for one in public if is_dataclass(one)}
    makers = {
        f
        for f in public
        if callable(f) and getattr(f, "__annotations__", {}).get("return") in results
    }
    assert makers == {case.diagnostic for case in (*CASES.values(), *ALARMS.values())}
    assert all(callable(result.plot) for result in results)


@pytest.mark.parametrize("case", [*CASES, *ALARMS])
def test_results_draw_themselves(case, judged):
    if case in CASES:
        result = CASES[case].run(judged["too narrow"])
    else:
        x = simulate(np.zeros((200, 2)), np.random.default_rng(0))
        result = ALARMS[case].diagnostic(*ALARMS[case].arguments(x[:-3], x[-3:]))
    figure, ax = plt.subplots()
    result.plot(ax)
    assert ax.get_xlabel() or ax.get_xticklabels()
    assert ax.has_data() and (ax.get_legend() is not None)
    plt.close(figure)


GOOD = Judged(POSTERIORS["right"])
BAD = {
    "shapes": (lambda: ranks(GOOD.theta, GOOD.draws[:5]), r"draws has shape \(5, 127, 2\)"),
    "NaN": (lambda: ranks(GOOD.theta * np.nan, GOOD.draws), "theta holds 2000 values"),
    "few simulations": (lambda: sbc(GOOD.theta[:50], GOOD.draws[:50]), "50 simulations"),
    "rank": (lambda: calibration(np.full((200, 1), 9), 5), r"from 9 to 9, not 0\.\.4"),
    "quantity": (lambda: hpd(GOOD.log_q, GOOD.log_q_draws[:, :, None]), "draws has shape"),
    "references": (lambda: tarp(GOOD.theta, GOOD.draws, GOOD.x), r"references has shape"),
    "few for references": (lambda: references(GOOD.theta[:9], GOOD.x[:9]), "9 simulations"),
    "unequal": (lambda: c2st(GOOD.exact_o, GOOD.draws_o), r"draws has shape \(2000, 2\)"),
    "few draws": (lambda: c2st(GOOD.exact_o[:9], GOOD.draws_o[:9]), "9 draws are too few"),
    "one observation": (
        lambda: local_c2st(GOOD.theta, GOOD.theta, GOOD.x, GOOD.x[:2], GOOD.draws_o),
        "x_o has shape",
    ),
    "few neighbours": (lambda: prdc(GOOD.exact_o[:9], GOOD.exact_o), "9 draws are too few"),
    "no draws": (lambda: prdc(GOOD.exact_o[:0], GOOD.exact_o), "reference is empty"),
    "predictions": (
        lambda: predictive_check(GOOD.x_o, GOOD.x, GOOD.x[:5], GOOD.x),
        "variance has shape",
    ),
    "summaries": (lambda: mmd(GOOD.x, GOOD.theta), "observed has shape"),
    "sets": (lambda: together(evidence_alarm(GOOD.x[:, 0], [1, 2, 3]), 2), "do not make sets of 2"),
    "few evidences": (lambda: evidence_alarm([1, 2], [1]), "2 simulations are too few"),
    "interval": (lambda: conformal(GOOD.theta, GOOD.theta, GOOD.theta, 0.5), "not below its high"),
    "level": (lambda: conformal_hpd_level(np.arange(9), 10, 1.2), "between 0 and 1"),
    "few for a level": (lambda: conformal_hpd_level(np.arange(9), 10, 0.95), "9 pairs are too few"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_wrong_input_is_refused_in_words(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()

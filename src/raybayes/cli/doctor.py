"""raybayes doctor: is this machine fit."""

from collections.abc import Iterator
from typing import Any

from raybayes.cli.frame import JSON, app, one_sentence, prepare_jax, say
from raybayes.errors import InputError


@app.command()
def doctor(
    as_json: JSON = False,
) -> None:
    """Versions, threads, devices, and a self-test: trace a beamline, train a small density."""
    with one_sentence():
        prepare_jax()
        from raybayes.workflow.self_test import machine, self_test

        checks = [
            {
                "name": check.name,
                "found": check.found,
                "exact": check.exact,
                "seconds": check.seconds,
                "passed": check.passed,
            }
            for check in self_test()
        ]
        result = {**machine(), "checks": checks}
        say(result, as_json, _lines(result))
        failed = [str(check["name"]) for check in checks if not check["passed"]]
        if failed:
            raise InputError(f"the self-test failed: {'; '.join(failed)}")


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"python {result['python']} on {result['system']}, {result['cores']} cores"
    yield ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    for name, version in result["optional"].items():
        yield f"{name:14} {version or 'not installed (optional)'}"
    yield f"Numba threads  {result['numba_threads']}"
    yield f"JAX devices    {', '.join(result['jax_devices'])}"
    for check in result["checks"]:
        word = "ok" if check["passed"] else "FAILED"
        numbers = f"{check['found']:.4g}, exact {check['exact']:.4g}"
        yield f"{word:6} {check['name']}: {numbers} ({check['seconds']:.1f} s)"

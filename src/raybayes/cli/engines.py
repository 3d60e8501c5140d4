"""raybayes engines: one theta of a study through our tracer, RAYX and xrt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from raybayes.cli.frame import JSON, app, one_sentence, say, warnings_as_sentences


@app.command()
def engines(
    study: Annotated[str, typer.Argument(help="A shipped study (ue112) or a TOML file.")] = "ue112",
    theta: Annotated[
        list[str] | None,
        typer.Option("--theta", metavar="NAME=VALUE", help="Default: the middle of the prior."),
    ] = None,
    rays: Annotated[int, typer.Option("--rays", min=1000, help="Of RAYX and of xrt.")] = 200_000,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write the profiles side by side (PNG).")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Trace one theta with every engine that is installed and say how far they are apart."""
    with one_sentence(), warnings_as_sentences():
        from raybayes.simulate.engines.compare import compare, comparison_picture
        from raybayes.study.plan import Plan

        plan, beamline = Plan.read(study)
        values = plan.at(theta or ())
        done, skipped = compare(plan.scene(beamline), values, rays, plan.engine)
        if picture is not None:
            from raybayes.beamline.pictures import save

            save(comparison_picture(plan.detector, done), picture)
        rows = [
            {
                "engine": each.engine,
                "transmission": each.transmission,
                "apart": each.apart,
                "noise": each.noise,
                "tolerance": each.tolerance,
                "agrees": each.agrees,
                "cpu_seconds": each.seconds,
                "profiles": [profile.tolist() for profile in each.profiles],
            }
            for each in done
        ]
        result = {
            "study": plan.name,
            "theta": dict(zip(plan.prior.names, values.tolist(), strict=True)),
            "engines": rows,
            "skipped": skipped,
        }
        say(result, as_json, _lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    theta = ", ".join(f"{name} = {value:g}" for name, value in result["theta"].items())
    yield f"{result['study']}: {theta}"
    yield "engine   transmission  from ours, % of the peak: h, v (counting)    CPU s"
    for row in result["engines"]:
        start = f"{row['engine']:8} {row['transmission']:12.5f}"
        if row is result["engines"][0]:
            yield f"{start}  {'':40}{row['cpu_seconds']:9.2f}"
            continue
        apart, noise = ([100 * v for v in row[name]] for name in ("apart", "noise"))
        verdict = f"{'agrees' if row['agrees'] else 'DIFFERS'} ({100 * row['tolerance']:g} %)"
        yield (
            f"{start}  {apart[0]:5.2f}, {apart[1]:5.2f}  ({noise[0]:.2f}, {noise[1]:.2f})  "
            f"{verdict:13}{row['cpu_seconds']:9.2f}"
        )
    yield (
        "agrees: within the engine's tolerance, rms over the bins, beside the noise of counting "
        "rays"
    )
    for name, reason in result["skipped"].items():
        yield f"skipped: {name}: {reason}"

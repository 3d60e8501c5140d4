"""The report's page draws, in a real browser and from a file, what JAX draws."""

import dataclasses
from importlib import resources

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from studies import TINY, command

from raybayes.density import deep, maf_nsf, mixture, nsf, rnade
from raybayes.density.config import members
from raybayes.density.ensemble import Ensemble
from raybayes.density.trees import stack
from raybayes.inference.posterior import Posterior
from raybayes.observations import Target
from raybayes.prior import EDGE, Independent, LogUniform, Normal, TruncatedNormal, Uniform
from raybayes.report.browser import described, obstacle
from raybayes.study.run import open_posterior, open_run

PRIOR = Independent(
    ("a", "b", "c"),
    (Uniform(low=1180, high=1220), Normal(mean=1, sd=2), LogUniform(low=0.1, high=10)),
)
SIZE, SHOWN = 32, 60
TARGET = Target("profiles", (np.arange(17.0), np.arange(17.0)))
CONFIGS = {
    "deep": deep(layers=5, members=2, features="counts", offset=3.0),
    "residual": deep(
        layers=3, lu=False, actnorm=True, activation="gelu", features="auto",
        embedding={"kind": "residual", "width": 20, "activation": "relu"},
    ),
    "image": deep(
        layers=3, members=2, start="linear", features="values", activation="tanh",
        embedding={"kind": "convolution", "shape": [1, 8, 4], "channels": [3, 5], "width": 16},
    ),
    "signals": nsf(
        layers=3, widths=(20,), transform="affine_spline",
        embedding={"kind": "convolution", "shape": [2, 16], "channels": [3, 4], "kernel": 3},
    ),
    "set": maf_nsf(
        layers=2, widths=(16, 16), embedding={"kind": "set", "items": 4, "widths": [12, 8]},
    ),
    "set with gaps": deep(
        layers=2, missing=True, embedding={"kind": "set", "items": 4, "widths": [12, 8]},
    ),
    "signals with gaps": deep(
        layers=2, missing=True,
        embedding={"kind": "convolution", "shape": [2, 16], "channels": [3, 4], "kernel": 3},
    ),
    "mixtures": rnade(
        components=4, widths=(20, 20, 20), members=2, embedding={"widths": [24, 12]},
    ),
    "mixtures from the linear start": rnade(
        components=3, widths=(16, 16), start="linear", embedding={"widths": [12]},
    ),
    "one component": rnade(components=1, widths=(2,), activation="relu", embedding={"widths": []}),
}  # fmt: skip


@pytest.fixture(scope="module")
def page(browser):
    """A page without a network."""
    context = browser.new_context(offline=True, viewport={"width": 1000, "height": 900})
    return context.new_page()


def posterior(config, prior=PRIOR, seed=0):
    """A network whose every weight was moved, so that nothing in it is nearly the identity."""
    rng = np.random.default_rng(seed)
    x = rng.poisson(20, (300, SIZE)).astype(float)
    z = rng.standard_normal((300, prior.dim)) + 0.05 * (x[:, :1] - 20)
    built = members(config, z.astype(np.float32), x, seed)
    density = built[0] if len(built) == 1 else Ensemble(stack(built), len(built))
    arrays, static = eqx.partition(density, eqx.is_inexact_array)
    frozen = lambda path: any(word in str(path) for word in ("regression", "features", "order"))  # noqa: E731
    moved = jax.tree_util.tree_map_with_path(
        lambda path, a: a if frozen(path) or "matrix" in str(path) or "signs" in str(path)
        else a + 0.05 * rng.standard_normal(a.shape).astype(np.float32),
        arrays,
    )  # fmt: skip
    return Posterior(prior, eqx.combine(moved, static), config, SIZE, {}), x


def expected(found, x, base):
    """theta of base points, member by member, as `Ensemble.sample` shares them out."""
    count = len(found.members)
    share = -(-len(base) // count)
    x, base, parts = x.astype(np.float32), base.astype(np.float32), []
    for i, member in enumerate(found.members):
        parts.append(from_base(member.density, x, base[i * share : (i + 1) * share]))
    z = np.clip(np.concatenate(parts).astype(np.float64), -EDGE, EDGE)
    return found.prior.from_real(z)


@eqx.filter_jit
def from_base(one, x, base):
    f = one.features(x)
    h = one.density.context(f)
    return jax.vmap(lambda v: one.regression.restored(one.density.from_base(v, h), f))(base)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_browser_agrees_with_jax(name, page):
    found, x = posterior(CONFIGS[name])
    agree(found, x, page, 5e-5 if found.config.kind == "rnade" else 2e-5)  # of float32


def test_the_browser_agrees_where_the_box_is_in_a_tail(page):
    """A mean far outside, where draws are next to the box's edge: float32 has few numbers there."""
    found, x = posterior(CONFIGS["one component"])
    last = lambda density: density.density.conditioner.last.bias  # noqa: E731
    for bias in ([0.0, -2.0, -3.0], [0.0, 0.3, -20.0], [0.0, 0.3, 20.0]):  # weight, mean, log sd
        density = eqx.tree_at(last, found.density, jnp.tile(jnp.array(bias), 3))
        agree(dataclasses.replace(found, density=density), x, page, 5e-3)


def agree(found, x, page, tolerance):
    """Draws by JAX and by the page from the same base points, in the prior's sds."""
    assert obstacle(found) == ""
    description = described(found, ("mm", "", ""), [TARGET], x)
    base = np.random.default_rng(1).standard_normal((SHOWN, description["base"]))
    page.goto("about:blank")
    page.add_script_tag(
        content=(resources.files("raybayes") / "pages" / "flow.js").read_text()
        + "window.raybayes = raybayes;"
    )
    draws = page.evaluate(
        "([d, x, base]) => raybayes.draws(raybayes.loaded(d), x, base)",
        [description, x[5].tolist(), base.tolist()],
    )
    theta = expected(found, x[5], base)
    error = np.abs(np.array(draws) - theta) / found.prior.sd
    assert error.max() < tolerance, error.max(axis=0)
    assert np.std(theta, axis=0).min() > 0


def test_every_prior_by_its_quantiles(page):
    """The table of quantiles is as good as the formula."""
    marginals = (TruncatedNormal(mean=0, sd=1, low=-0.5, high=3), LogUniform(low=1e-3, high=1e3))
    prior = Independent(("a", "b"), marginals)
    found, x = posterior(CONFIGS["deep"], prior)
    description = described(found, ("", ""), [TARGET], x)
    base = np.random.default_rng(2).standard_normal((SHOWN, 2))
    draws = page.evaluate(
        "([d, x, base]) => raybayes.draws(raybayes.loaded(d), x, base)",
        [description, x[0].tolist(), base.tolist()],
    )
    error = np.abs(np.array(draws) - expected(found, x[0], base)) / found.prior.sd
    assert error.max() < 2e-5


def test_normal_numbers(page):
    """The page's own random numbers are normal."""
    from scipy.stats import kstest

    numbers = np.array(page.evaluate("raybayes.normals(5000, 2, 1)"))
    assert kstest(numbers.ravel(), "norm").pvalue > 0.001
    assert abs(np.corrcoef(numbers.T)[0, 1]) < 0.05


def test_other_densities_get_a_sentence():
    found, _ = posterior(mixture(components=2))
    assert "does not run in a browser" in obstacle(found)


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory):
    """A finished run, of mixtures, whose draws take more normal numbers than parameters."""
    folder = tmp_path_factory.mktemp("run")
    text = TINY.replace("layers = 4\nwidths = [32]", 'kind = "rnade"\nwidths = [32]')
    assert text != TINY
    text = text.replace("seed = 3", 'seed = 3\nchecks = "ranks"')
    (folder / "tiny.toml").write_text(text)
    result = command("run", folder / "tiny.toml", "--out", folder / "out", "--json")
    assert result.exit_code == 0, result.output
    return folder / "out"


def chosen(page, paths):
    """As by a person, who may choose the same files again after they have changed."""
    with page.expect_file_chooser() as chooser:
        page.click("#flow-file")
    chooser.value.set_files(paths)


def test_the_report_infers_from_a_file(mixtures, page, tmp_path):
    """From file://, without any request; the table's numbers are those of the posterior."""
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(f"file://{mixtures / 'report.html'}")
    run = open_run(mixtures)
    x = run.observe(np.array([[0.02, 0.1]]), np.random.default_rng(3))[0]
    np.savetxt(tmp_path / "x.csv", np.stack([np.arange(200), x], 1), delimiter=",", header="i,n")
    page.set_input_files("#flow-file", tmp_path / "x.csv")
    page.wait_for_selector("#flow-results:not([hidden])")
    assert "1000 draws" in page.inner_text("#flow-message")
    draws = np.array(page.evaluate("raybayes.last"))
    again = open_posterior(run).sample(x, 4000)
    sd = again.std(axis=0)
    assert (np.abs(draws.mean(0) - again.mean(0)) < 0.15 * sd).all()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.15)
    rows = page.inner_text("#flow-table").splitlines()
    assert rows[0].startswith("M4.rotationXerror") and rows[0].endswith("mrad")
    ink = (
        "id => new Set(document.getElementById(id).getContext('2d')"
        ".getImageData(0, 0, 600, 200).data).size"
    )
    assert page.evaluate(ink, "flow-corner") > 3 and page.evaluate(ink, "flow-profile") > 3
    halves = (tmp_path / "h.txt", tmp_path / "v.txt")
    for path, part in zip(halves, (x[:100], x[100:]), strict=True):
        np.savetxt(path, part)
    page.evaluate("raybayes.last = null")
    page.set_input_files("#flow-file", halves)
    page.wait_for_function("raybayes.last !== null")
    np.testing.assert_allclose(page.evaluate("raybayes.last"), draws, rtol=1e-4)
    parts, every = (x[:100], x[100:]), run.study.targets[0].edges
    for path, part, edges in zip(halves, parts, every, strict=True):
        middles = (edges[1:] + edges[:-1]) / 2
        np.savetxt(path, np.stack([middles, part], 1)[::-1])  # from the far end
    page.evaluate("raybayes.last = null")
    chosen(page, halves)
    page.wait_for_function("raybayes.last !== null")
    np.testing.assert_allclose(page.evaluate("raybayes.last"), draws, rtol=1e-4)
    np.savetxt(halves[1], np.stack([middles + 0.1, part], 1))
    chosen(page, halves)
    page.wait_for_selector("#flow-results[hidden]", state="attached")
    assert "are not those of the study's bins" in page.inner_text("#flow-message")
    page.click("#flow-example")
    assert "The observation above" in page.inner_text("#flow-message")
    assert all(url.startswith("file://") for url in asked) and not failed


FILES = {
    "short": ("1\n2\n3\n", "There are 3 numbers; this study's detector reads 200"),
    "a word": ("1\n2\nthree\n", "line 3 (three) is not a row of finite numbers"),
    "nan": ("1\nnan\n", "line 2 (nan) is not a row of finite numbers"),
    "infinite": ("1\n1e999\n", "is not a row of finite numbers"),
    "nothing": ("only words\n", "holds no numbers"),
    "wide": ("1 2 3\n", "line 1 has 3 columns"),
    "dark": ("5\n" * 200, "there is no beam in it"),
    "large": ("1\n" * 3_000_000, "has 6 MB"),
    "script": ("<script>document.title='x'</script>\n1\n<b>2</b>\n", "line 3 (<b>2</b>)"),
}


@pytest.mark.parametrize("case", FILES)
def test_the_report_refuses(case, mixtures, page, tmp_path):
    content, message = FILES[case]
    path = tmp_path / "<img src=x onerror=alert(1)>.csv"
    path.write_text(content)
    page.goto(f"file://{mixtures / 'report.html'}")
    page.set_input_files("#flow-file", path)
    page.wait_for_function("document.getElementById('flow-message').textContent !== ''")
    assert message in page.inner_text("#flow-message")
    assert page.is_hidden("#flow-results") and page.title() == "raybayes: tiny"
    assert page.query_selector("#flow-message img") is None


def test_the_report_warns_of_what_is_unlike(mixtures, page, tmp_path):
    np.savetxt(tmp_path / "x.txt", np.where(np.arange(200) % 2, 1e5, 0))
    page.goto(f"file://{mixtures / 'report.html'}")
    page.set_input_files("#flow-file", tmp_path / "x.txt")
    page.wait_for_selector("#flow-results:not([hidden])")
    assert "do not trust these numbers" in page.inner_text("#flow-message")

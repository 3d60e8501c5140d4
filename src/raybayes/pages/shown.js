// What is shown of a result and of the beam at the sliders.
import { $, AXES, colour, digits, made, seen, session } from "./state.js";

const EXPORTS = {
  "table.csv": "Table, CSV", "draws.csv": "Draws, CSV", "result.nxs": "NeXus", "report.html": "Page, HTML",
  "profile.png": "Profiles, PNG", "corner.png": "Corner plot, PNG",
};

export function shown() {
  const { result } = session;
  for (const id of ["posterior", "trust", "pairs", "export", "done", "frame-section"]) $(id).hidden = !result;
  $("to-best").disabled = $("to-median").disabled = !result;
  legends();
  spans();
  if (!result) return draw();
  $("done").querySelector("ol").replaceChildren(...result.done.map((s) => made("li", { textContent: s })));
  tabled();
  framed();
  trusted();
  $("export").querySelector("ul").replaceChildren(...Object.entries(EXPORTS).map(([kind, text]) => made(
    "li", {}, made("a", { href: `/api/results/${result.id}/${kind}`, download: "", textContent: text }),
  )));
  draw();
}

// What was read, and the beam's numbers beside the predicted ones.
function framed() {
  const { picture, beam } = session.result;
  $("frame-figure").hidden = !picture;
  if (picture) $("picture").src = picture;
  const round = (v) => Number(v.toPrecision(4));
  $("beam-rows").replaceChildren(...beam.map((row) => made("tr", {},
    made("th", { scope: "row", textContent: `${row.setting} ${row.name}`.trim() }),
    ...[round(row.measured), round(row.predicted), `${round(row.low)} … ${round(row.high)}`, row.unit]
      .map((textContent) => made("td", { textContent })))));
}

export function tabled() {
  const { rows, files, exact } = session.result;
  $("table-caption").textContent = `Posterior of ${files.join(", ")}`;
  for (const id of ["posterior", "pairs"]) $(id).classList.toggle("dim", session.result.alarms.length > 0);
  $("rows").replaceChildren(...rows.flatMap((row, j) => {
    if (row.modes.length) return row.modes.map((mode) => modal(row, mode));
    const round = (v) => digits(v, row.sd);
    const words = exact?.trusted ? `${round(exact.mean[j])} ± ${exact.sd[j].toPrecision(2)}` : "–";
    const cells = [round(row.mean), round(row.median), Number(row.sd.toPrecision(2)), `${round(row.low)} … ${round(row.high)}`, words, row.unit];
    return made("tr", {}, made("th", { scope: "row", textContent: row.parameter }),
      ...cells.map((textContent) => made("td", { textContent })));
  }));
}

// A parameter of several modes: no draw may lie at its mean.
function modal(row, mode) {
  const round = (v) => digits(v, mode.sd);
  const cells = [round(mode.mean), "", Number(mode.sd.toPrecision(2)), `${round(mode.low)} … ${round(mode.high)}`, "–", row.unit];
  return made("tr", {}, made("th", { scope: "row", textContent: `${row.parameter}, ${(100 * mode.share).toFixed(0)} % of the draws` }),
    ...cells.map((textContent) => made("td", { textContent })));
}

function trusted() {
  const { alarms, chi2, distance } = session.result;
  const good = "Nothing speaks against this posterior: its predictions explain the measurement, and the beam is like those that were simulated.";
  $("alarms").replaceChildren(...(alarms.length ? alarms : [good]).map((sentence) => made(
    "p", { textContent: alarms.length ? `Alarm: ${sentence}` : sentence, className: alarms.length ? "bad" : "" },
  )));
  const p = (found) => `(p = ${found.p_value.toPrecision(2)})`;
  $("chi2").textContent = `chi² per bin ${chi2.found.toPrecision(3)} where ${chi2.expected.toPrecision(3)} is expected ${p(chi2)}`;
  $("distance").textContent = `Mahalanobis distance ${distance.found.toPrecision(3)} from the simulated beams, 95 % of which are within ${distance.usual.toPrecision(3)} ${p(distance)}`;
}

export function legends() {
  const { result, study } = session;
  const key = (name, text) => made("span", {}, made("i", { className: `key key-${name}`, ariaHidden: "true" }), text);
  const keys = [key("live", "at the sliders")];
  if (result) keys.unshift(key("measured", "measured"), key("predicted", "predicted by the posterior: median, 90 % band"));
  $("legend").replaceChildren(...keys);
  const marks = [key("predicted", `${result?.draws.length} draws, over the priors' ranges`), key("live", "the sliders")];
  if (result?.truth) marks.push(key("truth", "truth of the example (dashed)"));
  $("corner-legend").replaceChildren(...marks);
  if (seen(study).reads === "image" && result) keys.at(-1).append("; profiles are sums of the image");
}

export function draw() {
  for (const name of ["measured", "predicted", "live", "ink", "frame"]) drawing.colours[name] = colour(name);
  drawn();
  if (session.result) corner();
}

// What moves with the sliders.
export function drawn() {
  const { edges, reads } = seen(session.study), beam = seen(session.beam), result = seen(session.result);
  drawing.profiles($("profiles"), AXES.map((title, k) => ({ title, edges: edges[k], ...curves(k) })), 230);
  $("profiles").setAttribute("aria-label", inWords());
  $("image-figure").hidden = reads !== "image";
  if (reads === "image") drawing.images($("image"), [
    ...(result ? [{ rows: result.image, title: "measured" }] : []),
    ...(beam ? [{ rows: beam.image, title: "at the sliders" }] : []),
  ], edges);
}

function curves(k) {
  const beam = seen(session.beam), result = seen(session.result), lines = [];
  if (result) lines.push({ values: result.middle[k], colour: colour("predicted") });
  if (beam) lines.push({ values: beam.expected[k], colour: colour("live"), width: 2 });
  return { lines, points: result?.measured[k], band: result && { low: result.low[k], high: result.high[k] } };
}

function inWords() {
  const { edges } = seen(session.study), beam = seen(session.beam), result = seen(session.result);
  const peak = (values, edges) => {
    const i = values.indexOf(Math.max(...values));
    return `${Math.round(values[i])} counts at ${Math.round(500 * (edges[i] + edges[i + 1]))} µm`;
  };
  return AXES.map((axis, k) => {
    if (edges[k].length < 2) return `${axis} profile: not read`;
    const parts = [];
    if (result) parts.push(`measured peak ${peak(result.measured[k], edges[k])}`);
    if (beam) parts.push(`peak at the sliders ${peak(beam.expected[k], edges[k])}`);
    return `${axis} profile: ${parts.join(", ")}`;
  }).join("; ");
}

function corner() {
  const { study, result } = session;
  session.mark = drawing.corner($("corner"), study.parameters, result.draws, 110 * study.parameters.length);
  marked();
}

export function marked() {
  const { result, theta } = session;
  const marks = [{ theta, colour: colour("live") }];
  if (result.truth) marks.push({ theta: result.truth, colour: colour("ink"), dash: [3, 3] });
  session.mark(marks);
}

// Where the posterior's central 68 % lie below each slider.
function spans() {
  document.querySelectorAll(".span i").forEach((bar, j) => {
    const p = session.study.parameters[j], row = session.result?.rows[j], share = (v) => (100 * (v - p.low)) / (p.high - p.low);
    bar.hidden = !row;
    if (row) Object.assign(bar.style, { left: `${share(row.low)}%`, width: `${share(row.high) - share(row.low)}%` });
  });
}

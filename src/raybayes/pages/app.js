// The workbench: a study, an observation, what it says, and the beam that the sliders make.
"use strict";

const workbench = (() => {
  const $ = (id) => document.getElementById(id);
  const AXES = ["horizontal", "vertical"], REST = 250, UNLIKELY = 1.5;
  const EXPORTS = {
    "table.csv": "Table, CSV", "draws.csv": "Draws, CSV", "result.nxs": "NeXus", "report.html": "Page, HTML",
    "profile.png": "Profiles, PNG", "corner.png": "Corner plot, PNG",
  };
  // What lies on the desk. `view`: which of the study's settings is drawn. `turn` counts
  // observations: a late answer to an older one is dropped.
  const desk = {
    limit: 0, id: null, study: null, view: 0, theta: [], beam: null, result: null, files: [], dark: null, turn: 0,
  };
  const seen = (what) => what?.settings[desk.view];

  class Refusal extends Error {}

  async function ask(what, options) {
    let response;
    try {
      response = await fetch(`/api/${what}`, options);
    } catch {
      throw new Refusal("The server does not answer; is `raybayes app` still running?");
    }
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    const json = response.headers.get("content-type")?.startsWith("application/json");
    throw new Refusal(json ? JSON.parse(text).error : text);
  }

  const wish = (what, body) => ask(what, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });

  function made(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function told(sentence) {
    $("error").textContent = "";
    $("status").textContent = sentence;
  }

  // Runs what a person asked for; a refusal is a sentence, anything else is a bug and is thrown.
  async function attempt(sentence, action) {
    told(sentence);
    try {
      await action();
    } catch (error) {
      told("");
      if (!(error instanceof Refusal)) throw error;
      $("error").textContent = error.message;
    }
  }

  // Two digits of the sd, and no minus before nothing.
  const digits = (v, sd) => v.toFixed(Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(sd || 1)))))
    .replace(/^-(0\.?0*)$/, "$1");
  const unitOf = (axis) => (axis.unit ? ` ${axis.unit}` : "");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // ---- studies

  async function start() {
    const { studies, limit } = await ask("studies");
    desk.limit = limit;
    $("study").replaceChildren(...studies.map((s) => made("option", {
      value: s.id, disabled: s.trouble !== "", textContent: `${s.name} (${s.folder})${s.trouble ? `: ${s.trouble}` : ""}`,
    })));
    const first = studies.find((s) => s.trouble === "");
    if (!first) throw new Refusal(`No study can be opened. ${studies.map((s) => `${s.name}: ${s.trouble}.`).join(" ")}`);
    $("study").value = first.id;
    await opened(first.id);
  }

  async function opened(id) {
    const turn = ++desk.turn;
    $("study").disabled = true;
    told("Getting ready: the network and the tracer are compiled once. This takes some seconds.");
    try {
      const study = await wish("open", { study: id });
      if (turn !== desk.turn) return;
      Object.assign(desk, { id, study, view: 0, beam: null, result: null, files: [], dark: null });
    } finally {
      $("study").disabled = false;
      if (desk.id) $("study").value = desk.id;
    }
    $("reading").reset();
    $("file").value = "";
    $("given").hidden = true;
    described();
    sliders();
    $("desk").hidden = false;
    shown();
    told("Ready. Drop an observation, or move the optics.");
    move(middle());
  }

  function described() {
    const { study } = desk, several = study.settings.length > 1;
    const reads = ({ reads }) => (reads === "image" ? "an image" : "two profiles");
    $("about").textContent = `${study.beamline}; reads ${study.settings.map((s) => (several ? `${reads(s)} at ${s.label}` : reads(s))).join("; ")}`;
    $("kinds").firstChild.textContent = `${wanted()}: text, CSV, NumPy, HDF5, NeXus, PNG, TIFF, BMP.`;
    $("views").hidden = !several;
    $("view").replaceChildren(...study.settings.map(({ label }, i) => made("option", { value: i, textContent: label })));
    for (const [key, usual] of Object.entries(study.standard)) {
      const field = $(key), value = study.reading[key] ?? usual;
      if (field.tagName !== "INPUT") continue;
      field.dataset.hint ??= field.placeholder;
      field.placeholder = `${value}` === `${usual}` ? field.dataset.hint : [value].flat().join(" ");
    }
  }

  function wanted() {
    const { settings } = desk.study;
    if (settings.length > 1) return `A file for each of the ${settings.length} settings, in their order`;
    return settings[0].reads === "image"
      ? "One image or list of counts" : "An image, a list of counts, or a horizontal and a vertical profile";
  }

  // ---- observations

  async function taken(files) {
    const most = 2 * desk.study.settings.length;
    if (files.length > most) throw new Refusal(`${files.length} files were given; give ${most} at most.`);
    const found = [], turn = ++desk.turn;
    for (const file of files) found.push({ id: await uploaded(file), name: file.name });
    if (turn !== desk.turn) return;
    desk.files = found;
    given(found.map((f) => f.name));
    await inferred();
  }

  // Whose files they are; those of several settings can be put in another order.
  function given(names) {
    const { settings } = desk.study, n = names.length, pair = settings.length === 1 && n === 2;
    $("swap").hidden = !pair;
    $("given").hidden = false;
    if (settings.length === 1 || n === 1) {
      $("files").textContent = pair ? `horizontal: ${names[0]}, vertical: ${names[1]}` : names[0];
      return;
    }
    const roles = n === settings.length ? settings.map((s) => s.label)
      : settings.flatMap(({ label, reads }) => (reads === "image" ? [label] : AXES.map((axis) => `${label}, ${axis}`)));
    const held = document.activeElement.dataset.file;
    $("files").replaceChildren(made("ol", {}, ...names.map((name, i) => {
      const item = made("li", {}, `${roles[i] ?? "one too many"}: ${name} `);
      if (i) {
        item.append(made("button", {
          type: "button", textContent: "Earlier", ariaLabel: `${name}: one place earlier`, onclick: () => earlier(i),
        }));
        item.lastChild.dataset.file = desk.files[i].id;
      }
      return item;
    })));
    // The keyboard stays with the file that was moved, or comes to the next button.
    const buttons = [...$("files").querySelectorAll("button")];
    if (held) (buttons.find((b) => b.dataset.file === held) ?? buttons[0])?.focus();
  }

  function earlier(i) {
    attempt(reading, () => {
      desk.files.splice(i - 1, 2, desk.files[i], desk.files[i - 1]);
      given(desk.files.map((f) => f.name));
      return inferred();
    });
  }

  async function uploaded(file) {
    if (file.size > desk.limit)
      throw new Refusal(`${file.name}: has more than the ${desk.limit / 2 ** 20} MB that are taken; give one frame or profile.`);
    const headers = { "x-file-name": encodeURIComponent(file.name), "content-type": "application/octet-stream" };
    return (await ask("upload", { method: "POST", headers, body: file })).id;
  }

  function options() {
    const changes = {};
    for (const field of $("reading").querySelectorAll("[data-kind]")) {
      const text = field.value.trim(), list = text.split(/[,;\s]+/).map(number);
      if (text === "") continue;
      changes[field.id] = { text, number: number(text), numbers: list.length > 1 ? list : list[0] }[field.dataset.kind];
    }
    return changes;
  }

  // What is no number goes to the server as it is, which says what is wrong with it.
  const number = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

  async function inferred() {
    const { seed = 0, ...reading } = options();
    const dark = $("dark").files[0];
    if (dark !== desk.dark?.file) desk.dark = dark ? { file: dark, id: await uploaded(dark) } : null;
    await answered(() => wish("infer", {
      study: desk.id, files: desk.files.map((f) => f.id), dark: desk.dark?.id ?? null, reading, seed,
    }));
  }

  async function answered(request) {
    const turn = ++desk.turn, begun = performance.now();
    const result = await request();
    if (turn !== desk.turn) return;
    desk.result = result;
    shown();
    move(result.best);
    const seconds = ((performance.now() - begun) / 1e3).toFixed(2);
    told(`${result.files.join(", ")}: ${result.draws.length} draws from the posterior in ${seconds} s.`);
    await refined(result);
  }

  // The exact likelihood takes longer, so it comes by itself.
  async function refined(result) {
    $("ess").textContent = desk.study.exact ? "weighing the draws by the exact likelihood …" : "";
    let sentence;
    try {
      result.exact = await wish("refine", { result: result.id });
      sentence = result.exact.sentence;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      sentence = error.message;
    }
    if (desk.result !== result) return;
    $("ess").textContent = sentence;
    $("ess").className = result.exact && !result.exact.trusted ? "bad" : "";
    tabled();
  }

  // ---- what is shown

  function shown() {
    const { result } = desk;
    for (const id of ["posterior", "trust", "pairs", "export", "done"]) $(id).hidden = !result;
    $("to-best").disabled = $("to-median").disabled = !result;
    legends();
    spans();
    if (!result) return draw();
    given(result.files);
    $("done").querySelector("ol").replaceChildren(...result.done.map((s) => made("li", { textContent: s })));
    tabled();
    trusted();
    $("export").querySelector("ul").replaceChildren(...Object.entries(EXPORTS).map(([kind, text]) => made(
      "li", {}, made("a", { href: `/api/results/${result.id}/${kind}`, download: "", textContent: text }),
    )));
    draw();
  }

  function tabled() {
    const { rows, files, exact } = desk.result;
    $("table-caption").textContent = `Posterior of ${files.join(", ")}`;
    $("rows").replaceChildren(...rows.map((row, j) => {
      const round = (v) => digits(v, row.sd);
      const words = exact?.trusted ? `${round(exact.mean[j])} ± ${exact.sd[j].toPrecision(2)}` : "–";
      const cells = [round(row.mean), round(row.median), Number(row.sd.toPrecision(2)), `${round(row.low)} … ${round(row.high)}`, words, row.unit];
      return made("tr", {}, made("th", { scope: "row", textContent: row.parameter }),
        ...cells.map((textContent) => made("td", { textContent })));
    }));
  }

  function trusted() {
    const { alarms, chi2, distance } = desk.result;
    const good = "Nothing speaks against this posterior: its predictions explain the measurement, and the beam is like those that were simulated.";
    $("alarms").replaceChildren(...(alarms.length ? alarms : [good]).map((sentence) => made(
      "p", { textContent: alarms.length ? `Alarm: ${sentence}` : sentence, className: alarms.length ? "bad" : "" },
    )));
    const p = (found) => `(p = ${found.p_value.toPrecision(2)})`;
    $("chi2").textContent = `chi² per bin ${chi2.found.toPrecision(3)} where ${chi2.expected.toPrecision(3)} is expected ${p(chi2)}`;
    $("distance").textContent = `Mahalanobis distance ${distance.found.toPrecision(3)} from the simulated beams, 95 % of which are within ${distance.usual.toPrecision(3)} ${p(distance)}`;
  }

  function legends() {
    const { result, study } = desk;
    const key = (name, text) => made("span", {}, made("i", { className: `key key-${name}`, ariaHidden: "true" }), text);
    const keys = [key("live", "at the sliders' setting")];
    if (result) keys.unshift(key("measured", "measured"), key("predicted", "predicted by the posterior: median, 90 % band"));
    $("legend").replaceChildren(...keys);
    const marks = [key("predicted", `${result?.draws.length} draws, over the priors' ranges`), key("live", "the sliders")];
    if (result?.truth) marks.push(key("truth", "truth of the example (dashed)"));
    $("corner-legend").replaceChildren(...marks);
    if (seen(study).reads === "image" && result) keys.at(-1).append("; profiles are sums of the image");
  }

  function draw() {
    for (const name of ["measured", "predicted", "live", "ink", "frame"]) drawing.colours[name] = colour(name);
    drawn();
    if (desk.result) corner();
  }

  // What moves with the sliders.
  function drawn() {
    const { edges, reads } = seen(desk.study), beam = seen(desk.beam), result = seen(desk.result);
    drawing.profiles($("profiles"), AXES.map((title, k) => ({ title, edges: edges[k], ...curves(k) })), 230);
    $("profiles").setAttribute("aria-label", inWords());
    $("image-figure").hidden = reads !== "image";
    if (reads === "image") drawing.images($("image"), [
      ...(result ? [{ rows: result.image, title: "measured" }] : []),
      ...(beam ? [{ rows: beam.image, title: "at the sliders' setting" }] : []),
    ], edges);
  }

  function curves(k) {
    const beam = seen(desk.beam), result = seen(desk.result), lines = [];
    if (result) lines.push({ values: result.middle[k], colour: colour("predicted") });
    if (beam) lines.push({ values: beam.expected[k], colour: colour("live"), width: 2 });
    return { lines, points: result?.measured[k], band: result && { low: result.low[k], high: result.high[k] } };
  }

  function inWords() {
    const { edges } = seen(desk.study), beam = seen(desk.beam), result = seen(desk.result);
    const peak = (values, edges) => {
      const i = values.indexOf(Math.max(...values));
      return `${Math.round(values[i])} counts at ${Math.round(500 * (edges[i] + edges[i + 1]))} µm`;
    };
    return AXES.map((axis, k) => {
      const parts = [];
      if (result) parts.push(`measured peak ${peak(result.measured[k], edges[k])}`);
      if (beam) parts.push(`peak at the sliders' setting ${peak(beam.expected[k], edges[k])}`);
      return `${axis} profile: ${parts.join(", ")}`;
    }).join("; ");
  }

  function corner() {
    const { study, result } = desk;
    desk.mark = drawing.corner($("corner"), study.parameters, result.draws, 110 * study.parameters.length);
    marked();
  }

  function marked() {
    const { result, theta } = desk;
    const marks = [{ theta, colour: colour("live") }];
    if (result.truth) marks.push({ theta: result.truth, colour: colour("ink"), dash: [3, 3] });
    desk.mark(marks);
  }

  // ---- sliders

  const middle = () => desk.study.parameters.map((p) => (p.low + p.high) / 2);

  function sliders() {
    $("sliders").replaceChildren(...desk.study.parameters.map((p, j) => {
      const input = made("input", {
        type: "range", id: `theta-${j}`, min: p.low, max: p.high, step: (p.high - p.low) / 200,
      });
      input.addEventListener("input", () => {
        desk.theta[j] = Number(input.value);
        said(j);
        changed();
      });
      return made("div", { className: "slider" }, made("label", { htmlFor: input.id, textContent: p.name }),
        made("output", { id: `said-${j}`, htmlFor: input.id }), input, made("div", { className: "span" }, made("i", { hidden: true })));
    }));
  }

  // Where the posterior's central 68 % lie below each slider.
  function spans() {
    document.querySelectorAll(".span i").forEach((bar, j) => {
      const p = desk.study.parameters[j], row = desk.result?.rows[j], share = (v) => (100 * (v - p.low)) / (p.high - p.low);
      bar.hidden = !row;
      if (row) Object.assign(bar.style, { left: `${share(row.low)}%`, width: `${share(row.high) - share(row.low)}%` });
    });
  }

  function said(j) {
    const p = desk.study.parameters[j];
    const text = `${digits(desk.theta[j], (p.high - p.low) / 20)}${unitOf(p)}`;
    $(`said-${j}`).textContent = text;
    $(`theta-${j}`).setAttribute("aria-valuetext", text);
  }

  function move(theta) {
    // A prior without ends has draws beyond its slider's.
    desk.theta = desk.study.parameters.map((p, j) => Math.min(Math.max(theta[j], p.low), p.high));
    desk.theta.forEach((v, j) => { $(`theta-${j}`).value = v; said(j); });
    changed();
  }

  // One request at a time; of those that wait, only the last is sent.
  let busy = false, waiting = false, resting = 0;

  async function changed() {
    clearTimeout(resting);
    resting = setTimeout(() => beamline().catch(refused), REST);
    waiting = true;
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        waiting = false;
        await simulated();
      }
    } catch (error) {
      refused(error);
    } finally {
      busy = false;
    }
  }

  function refused(error) {
    if (!(error instanceof Refusal)) throw error;
    $("error").textContent = error.message;
  }

  async function simulated() {
    const begun = performance.now(), { study, result } = desk;
    const theta = [...desk.theta];
    const beam = await wish("simulate", { study: desk.id, theta, result: result?.id ?? null });
    if (study !== desk.study) return;
    desk.beam = { ...beam, theta };
    drawn();
    if (desk.result) marked();
    $("fit").textContent = beam.chi2 === null || result !== desk.result ? "" : `chi² per bin at the sliders' setting: ${beam.chi2.toPrecision(3)}`;
    $("medians").hidden = !(result && atMedians() && beam.chi2 > UNLIKELY * result.chi2.expected);
    $("latency").textContent = `From slider to curve: ${(performance.now() - begun).toFixed(0)} ms.`;
  }

  const atMedians = () => desk.result.rows.every((row, j) => row.median === desk.theta[j]);

  async function beamline() {
    const study = desk.study, found = await wish("layout", { study: desk.id, theta: desk.theta });
    if (study !== desk.study) return;
    $("layout").src = found.picture;
    $("elements").replaceChildren(...found.elements.map((e) => made(
      "tr", { className: e.off ? "bad" : "" }, made("th", { scope: "row", textContent: e.name }),
      ...[e.type, e.m.toFixed(3), e.off].map((textContent) => made("td", { textContent })),
    )));
  }

  // ---- what a person does

  const reading = "Reading the file, drawing from the posterior …";
  $("study").addEventListener("change", () => attempt("", () => opened($("study").value)));
  // So that the same file, mended, can be picked again.
  $("file").addEventListener("click", () => { $("file").value = ""; });
  $("file").addEventListener("change", () => {
    if ($("file").files.length) attempt(reading, () => taken([...$("file").files]));
  });
  $("example").addEventListener("click", () => attempt("Simulating …", () => {
    desk.files = [];
    return answered(() => wish("example", { study: desk.id, number: Math.floor(1e6 * Math.random()) }));
  }));
  $("swap").addEventListener("click", () => attempt(reading, () => {
    desk.files.reverse();
    given(desk.files.map((f) => f.name));
    return inferred();
  }));
  $("reading").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(reading, () => {
      if (!desk.files.length) throw new Refusal("Give a file first; the options are for reading it.");
      return inferred();
    });
  });
  $("view").addEventListener("change", () => {
    desk.view = Number($("view").value);
    legends();
    drawn();
  });
  $("to-best").addEventListener("click", () => move(desk.result.best));
  $("to-median").addEventListener("click", () => move(desk.result.rows.map((row) => row.median)));
  $("to-middle").addEventListener("click", () => move(middle()));

  const drop = $("drop");
  // A file that misses the zone must not replace the page.
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length) attempt(reading, () => taken(files));
  });
  const again = () => desk.study && draw();
  window.addEventListener("resize", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

  attempt("Looking for studies …", start);
  return desk;
})();

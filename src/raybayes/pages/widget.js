// The page around flow.js and drawing.js: take a file, refuse it in a sentence or show what it says.
"use strict";

(() => {
  const DRAWS = 1000, LARGEST = 5e6, SLACK = 0.05; // of a bin
  const $ = (id) => document.getElementById(id);
  const model = raybayes.loaded(JSON.parse($("flow").textContent));
  const { settings } = model, [plain] = settings, bins = ({ edges }) => edges.map((edge) => edge.length - 1);
  const axes = model.names.map((name, j) => ({
    name, unit: model.units[j], low: model.low[j], high: model.high[j],
  }));

  class Refusal extends Error {}

  // One number per line, or positions and numbers; words may stand above them.
  function parsed(text, name) {
    const values = [], positions = [];
    for (const [i, line] of text.replace(/^\uFEFF/, "").split(/\r?\n/).entries()) {
      const words = line.split("#")[0].trim().split(/[,;\s]+/).filter((word) => word !== "");
      if (words.length === 0) continue;
      const row = words.map(Number);
      if (row.every(Number.isNaN) && values.length === 0 && !/^nan$/i.test(words.at(-1))) continue;
      if (row.length > 2)
        throw new Refusal(`${name}: line ${i + 1} has ${row.length} columns; give counts alone, or positions and counts.`);
      if (!row.every(Number.isFinite))
        throw new Refusal(`${name}: line ${i + 1} (${line.trim().slice(0, 40)}) is not a row of finite numbers; mend it first, or give the file to raybayes infer.`);
      values.push(row.at(-1));
      if (row.length > 1) positions.push(row[0]);
    }
    if (values.length === 0) throw new Refusal(`${name}: holds no numbers.`);
    if (positions.length && positions.length < values.length)
      throw new Refusal(`${name}: some lines have a position and some have none.`);
    return { name, values, positions };
  }

  // Counts in the order of the study's bins, from a profile that says where they lie, mm.
  function laid({ name, values, positions }, edges) {
    const falls = positions[0] > positions.at(-1), width = edges[1] - edges[0];
    const [x, at] = falls ? [values.toReversed(), positions.toReversed()] : [values, positions];
    const fits = (unit) => at.every((p, i) => Math.abs(unit * p - (edges[i] + edges[i + 1]) / 2) < SLACK * width);
    if (!fits(1) && !fits(1e-3)) // mm, or µm, as a study may say
      throw new Refusal(`${name}: its positions (${at[0]} to ${at.at(-1)}) are not those of the study's bins, whose middles go from ${((edges[0] + edges[1]) / 2).toPrecision(4)} to ${((edges.at(-2) + edges.at(-1)) / 2).toPrecision(4)} mm; raybayes infer moves counts from bin to bin.`);
    return x;
  }

  // The files of each setting are read in their order: one for each, or one for each profile.
  function fitting(read) {
    const parts = settings.flatMap((s) =>
      (s.reads === "image" ? [{ size: s.size }]
        : s.edges.map((edges) => ({ edges, size: edges.length - 1 })).filter(({ size }) => size)));
    const sizes = parts.map((part) => part.size);
    const lengths = `${read.map((r) => r.values.length)}`;
    if (![[model.size], settings.map((s) => s.size), sizes].some((list) => `${list}` === lengths))
      throw new Refusal(`There are ${read.map((r) => r.values.length).join(" and ")} numbers; this study's detector reads ${wanted()}.`);
    // A list of all counts is taken as it stands; a profile's own positions say where it lies.
    const profiles = `${sizes}` === lengths ? parts : [];
    const x = read.flatMap((r, i) => (profiles[i]?.edges && r.positions.length ? laid(r, profiles[i].edges) : r.values));
    if (x.every((v) => v === x[0])) throw new Refusal(`Every reading is ${x[0]}: there is no beam in it.`);
    return x;
  }

  function wanted() {
    const [horizontal, vertical] = bins(plain);
    if (settings.length > 1)
      return `${model.size} (${settings.map((s) => `${s.size} at ${s.label}`).join(", then ")}; in one file or one for each)`;
    return plain.reads === "image"
      ? `${model.size} (${horizontal} x ${vertical} pixels)`
      : `${model.size} (${horizontal} horizontal, then ${vertical} vertical bins; in one file or two)`;
  }

  async function taken(files) {
    try {
      const most = 2 * settings.length;
      if (files.length > most) throw new Refusal(`${files.length} files were given; give ${most} at most.`);
      const read = [];
      for (const file of files) {
        if (file.size > LARGEST) throw new Refusal(`${file.name}: has ${(file.size / 1e6).toFixed(0)} MB; a profile has less than 5.`);
        read.push(parsed(await file.text(), file.name));
      }
      shown(fitting(read), files.map((file) => file.name).join(", "));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      $("flow-results").hidden = true;
      told(error.message, true);
    }
  }

  function told(sentence, bad) {
    $("flow-message").textContent = sentence;
    $("flow-message").className = bad ? "bad" : "";
  }

  function shown(x, name) {
    const theta = raybayes.draws(model, x, raybayes.normals(DRAWS, model.base, 1));
    const far = raybayes.distance(model, x);
    const warning = far > 1
      ? ` It is unlike the study's own observations (${far.toFixed(1)} times as far from their mean as the farthest of them): do not trust these numbers.`
      : "";
    told(`${name}: ${DRAWS} draws from the posterior.${warning}`, far > 1);
    tabled(theta);
    profiles($("flow-profile"), x);
    drawing.corner($("flow-corner"), axes, theta);
    $("flow-results").hidden = false;
    raybayes.last = theta;
  }

  function tabled(theta) {
    $("flow-table").replaceChildren(...axes.map((axis, j) => {
      const values = theta.map((t) => t[j]).sort((a, b) => a - b);
      const mean = values.reduce((a, b) => a + b) / values.length;
      const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1));
      const at = (share) => values[Math.min(values.length - 1, Math.round(share * (values.length - 1)))];
      const digits = (v) => v.toFixed(Math.max(0, 2 - Math.floor(Math.log10(sd || 1))));
      const row = document.createElement("tr");
      const cells = [axis.name, digits(mean), digits(at(0.5)), sd.toPrecision(2),
                     `${digits(at(0.16))} … ${digits(at(0.84))}`, axis.unit];
      row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }));
  }

  function profiles(canvas, x) {
    let at = 0;
    drawing.profiles(canvas, settings.flatMap((setting) => {
      const own = x.slice(at, (at += setting.size)), name = setting.label && `${setting.label.split(":")[0]}, `;
      return summed(own, setting).map((values, k) => ({
        edges: setting.edges[k], title: `${name}${["horizontal", "vertical"][k]}`,
        lines: [{ values, colour: drawing.colours.predicted }],
      }));
    }));
  }

  function summed(x, setting) {
    const [horizontal, vertical] = bins(setting);
    if (setting.reads === "profiles") return [x.slice(0, horizontal), x.slice(horizontal)];
    const columns = new Array(horizontal).fill(0), rows = new Array(vertical).fill(0);
    x.forEach((v, i) => { columns[i % horizontal] += v; rows[Math.floor(i / horizontal)] += v; });
    return [columns, rows];
  }

  const input = $("flow-file"), drop = $("flow-drop");
  // So that the same file, mended, can be picked again.
  input.addEventListener("click", () => { input.value = ""; });
  input.addEventListener("change", () => input.files.length && taken([...input.files]));
  $("flow-example").addEventListener("click", () => shown(model.example, "The observation above"));
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    taken([...event.dataTransfer.files]);
  });
  raybayes.model = model;
})();

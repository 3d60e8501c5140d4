// The workbench: a study, an observation, what it says, and the beam that the sliders make.
import { answered, given, inferred, reading, taken } from "./observations.js";
import { Refusal, ask, attempt, post, told } from "./server.js";
import { draw, drawn, legends, shown } from "./shown.js";
import { middle, move, sliders } from "./sliders.js";
import { $, made, session } from "./state.js";

async function start() {
  const { studies, limit } = await ask("studies");
  session.limit = limit;
  $("study").replaceChildren(...studies.map((s) => made("option", {
    value: s.id, disabled: s.trouble !== "", textContent: `${s.name} (${s.folder})${s.trouble ? `: ${s.trouble}` : ""}`,
  })));
  const first = studies.find((s) => s.trouble === "");
  if (!first) throw new Refusal(`No study can be opened. ${studies.map((s) => `${s.name}: ${s.trouble}.`).join(" ")}`);
  $("study").value = first.id;
  await opened(first.id);
}

async function opened(id) {
  const turn = ++session.turn;
  $("study").disabled = true;
  told("Getting ready: the network and the tracer are compiled once. This takes some seconds.");
  try {
    const study = await post("open", { study: id });
    if (turn !== session.turn) return;
    Object.assign(session, { id, study, view: 0, beam: null, result: null, files: [], dark: null, mask: null });
  } finally {
    $("study").disabled = false;
    if (session.id) $("study").value = session.id;
  }
  $("reading").reset();
  $("file").value = "";
  $("given").hidden = true;
  described();
  sliders();
  $("panels").hidden = false;
  shown();
  told("Ready. Drop an observation, or move the optics.");
  move(middle());
}

function described() {
  const { study } = session, several = study.settings.length > 1;
  const reads = ({ reads }) => (reads === "image" ? "an image" : "two profiles");
  $("about").textContent = `${study.beamline}; reads ${study.settings.map((s) => (several ? `${reads(s)} at ${s.label}` : reads(s))).join("; ")}`;
  $("kinds").firstChild.textContent = `${wanted()}: text, CSV, SPEC, NumPy, HDF5, NeXus, TIFF, PNG, BMP, PGM, JPEG, EDF, CBF.`;
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
  const { settings } = session.study;
  if (settings.length > 1) return `A file for each of the ${settings.length} settings, in their order`;
  return settings[0].reads === "image"
    ? "One image or list of counts" : "An image, a list of counts, or a horizontal and a vertical profile";
}

$("study").addEventListener("change", () => attempt("", () => opened($("study").value)));

// So that the same file, mended, can be picked again.
$("file").addEventListener("click", () => { $("file").value = ""; });

$("file").addEventListener("change", () => {
  if ($("file").files.length) attempt(reading, () => taken([...$("file").files]));
});

$("example").addEventListener("click", () => attempt("Simulating …", () => {
  session.files = [];
  return answered(() => post("example", { study: session.id, number: Math.floor(1e6 * Math.random()) }));
}));

$("swap").addEventListener("click", () => attempt(reading, () => {
  session.files.reverse();
  given(session.files.map((f) => f.name));
  return inferred();
}));

$("reading").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(reading, () => {
    if (!session.files.length) throw new Refusal("Give a file first; the options are for reading it.");
    return inferred();
  });
});

$("view").addEventListener("change", () => {
  session.view = Number($("view").value);
  legends();
  drawn();
});

$("to-best").addEventListener("click", () => move(session.result.best));
$("to-median").addEventListener("click", () => move(session.result.rows.map((row) => row.median)));
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

const again = () => session.study && draw();
window.addEventListener("resize", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

globalThis.workbench = session; // for a look from the console, and for tests
attempt("Looking for studies …", start);

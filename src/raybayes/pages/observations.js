// From files to an observation, and to the posterior at it.
import { Refusal, ask, attempt, post, told } from "./server.js";
import { shown, tabled } from "./shown.js";
import { move } from "./sliders.js";
import { $, AXES, made, session } from "./state.js";

export const reading = "Reading the file, drawing from the posterior …";

export async function taken(files) {
  const most = 2 * session.study.settings.length;
  if (files.length > most) throw new Refusal(`${files.length} files were given; give ${most} at most.`);
  const found = [], turn = ++session.turn;
  for (const file of files) found.push({ id: await uploaded(file), name: file.name });
  if (turn !== session.turn) return;
  session.files = found;
  given(found.map((f) => f.name));
  await inferred();
}

// Whose files they are; those of several settings can be put in another order.
export function given(names) {
  const { settings } = session.study, n = names.length, pair = settings.length === 1 && n === 2;
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
      item.lastChild.dataset.file = session.files[i].id;
    }
    return item;
  })));
  // The keyboard stays with the file that was moved, or comes to the next button.
  const buttons = [...$("files").querySelectorAll("button")];
  if (held) (buttons.find((b) => b.dataset.file === held) ?? buttons[0])?.focus();
}

function earlier(i) {
  attempt(reading, () => {
    session.files.splice(i - 1, 2, session.files[i], session.files[i - 1]);
    given(session.files.map((f) => f.name));
    return inferred();
  });
}

async function uploaded(file) {
  if (file.size > session.limit)
    throw new Refusal(`${file.name}: has more than the ${session.limit / 2 ** 20} MB that are taken; give one frame or profile.`);
  const headers = { "x-file-name": encodeURIComponent(file.name), "content-type": "application/octet-stream" };
  return (await ask("upload", { method: "POST", headers, body: file })).id;
}

function options() {
  const changes = {};
  for (const field of $("reading").querySelectorAll("[data-kind]")) {
    const text = field.value.trim(), list = text.split(/[,;\s]+/).map(number);
    if (text === "") continue;
    changes[field.id] = { text, number: number(text), names: list, numbers: list.length > 1 ? list : list[0] }[field.dataset.kind];
  }
  return changes;
}

// What is no number goes to the server as it is, which says what is wrong with it.
const number = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

export async function inferred() {
  const { seed = 0, ...reading } = options();
  for (const name of ["dark", "mask"]) {
    const file = $(name).files[0];
    if (file !== session[name]?.file) session[name] = file ? { file, id: await uploaded(file) } : null;
  }
  await answered(() => post("infer", {
    study: session.id, files: session.files.map((f) => f.id), dark: session.dark?.id ?? null, mask: session.mask?.id ?? null, reading, seed,
  }));
}

export async function answered(request) {
  const turn = ++session.turn, begun = performance.now();
  const result = await request();
  if (turn !== session.turn) return;
  session.result = result;
  given(result.files);
  shown();
  move(result.best);
  const seconds = ((performance.now() - begun) / 1e3).toFixed(2);
  told(`${result.files.join(", ")}: ${result.draws.length} draws from the posterior in ${seconds} s.`);
  await refined(result);
}

// The exact likelihood takes longer, so it comes by itself.
async function refined(result) {
  $("ess").textContent = session.study.exact ? "weighing the draws by the exact likelihood …" : "";
  let sentence;
  try {
    result.exact = await post("refine", { result: result.id });
    sentence = result.exact.sentence;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    sentence = error.message;
  }
  if (session.result !== result) return;
  $("ess").textContent = sentence;
  $("ess").className = result.exact && !result.exact.trusted ? "bad" : "";
  tabled();
}

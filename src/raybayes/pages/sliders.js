// The sliders, and the beam that they make.
import { Refusal, post } from "./server.js";
import { drawn, marked } from "./shown.js";
import { $, digits, made, session, unitOf } from "./state.js";

const REST = 250, UNLIKELY = 1.5;
export const middle = () => session.study.parameters.map((p) => (p.low + p.high) / 2);

export function sliders() {
  $("sliders").replaceChildren(...session.study.parameters.map((p, j) => {
    const input = made("input", {
      type: "range", id: `theta-${j}`, min: p.low, max: p.high, step: (p.high - p.low) / 200,
    });
    input.addEventListener("input", () => {
      session.theta[j] = Number(input.value);
      said(j);
      changed();
    });
    return made("div", { className: "slider" }, made("label", { htmlFor: input.id, textContent: p.spoken }),
      made("output", { id: `said-${j}`, htmlFor: input.id }), input, made("div", { className: "span" }, made("i", { hidden: true })));
  }));
}

function said(j) {
  const p = session.study.parameters[j];
  const text = `${digits(session.theta[j], (p.high - p.low) / 20)}${unitOf(p)}`;
  $(`said-${j}`).textContent = text;
  $(`theta-${j}`).setAttribute("aria-valuetext", text);
}

export function move(theta) {
  // A prior without ends has draws beyond its slider's.
  session.theta = session.study.parameters.map((p, j) => Math.min(Math.max(theta[j], p.low), p.high));
  session.theta.forEach((v, j) => { $(`theta-${j}`).value = v; said(j); });
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
  const begun = performance.now(), { study, result } = session;
  const theta = [...session.theta];
  const beam = await post("simulate", { study: session.id, theta, result: result?.id ?? null });
  if (study !== session.study) return;
  session.beam = { ...beam, theta };
  drawn();
  if (session.result) marked();
  $("fit").textContent = beam.chi2 === null || result !== session.result ? "" : `chi² per bin at the sliders: ${beam.chi2.toPrecision(3)}`;
  $("medians").hidden = !(result && atMedians() && beam.chi2 > UNLIKELY * result.chi2.expected);
  $("latency").textContent = `From slider to curve: ${(performance.now() - begun).toFixed(0)} ms.`;
}

const atMedians = () => session.result.rows.every((row, j) => row.median === session.theta[j]);

async function beamline() {
  const study = session.study, found = await post("layout", { study: session.id, theta: session.theta });
  if (study !== session.study) return;
  $("layout").src = found.picture;
  $("elements").replaceChildren(...found.elements.map((e) => made(
    "tr", { className: e.off ? "bad" : "" }, made("th", { scope: "row", textContent: e.name }),
    ...[e.type, e.m.toFixed(3), e.off].map((textContent) => made("td", { textContent })),
  )));
}

// The server's answers, and its refusals as sentences.
import { $ } from "./state.js";

export class Refusal extends Error {}

export async function ask(what, options) {
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

export const post = (what, body) => ask(what, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
});

export function told(sentence) {
  $("error").textContent = "";
  $("panels").classList.remove("stale");
  $("status").textContent = sentence;
}

// Runs what a person asked for; a refusal is a sentence, anything else is a bug and is thrown.
export async function attempt(sentence, action) {
  told(sentence);
  try {
    await action();
  } catch (error) {
    told("");
    if (!(error instanceof Refusal)) throw error;
    $("error").textContent = error.message;
    $("panels").classList.add("stale"); // what stands there is of something else
  }
}

// What is open, and small tools of every part of the workbench.

export const $ = (id) => document.getElementById(id);
export const AXES = ["horizontal", "vertical"];

// What is open. `view`: which of the study's settings is drawn. `turn` counts
// observations: a late answer to an older one is dropped.
export const session = {
  limit: 0, id: null, study: null, view: 0, theta: [], beam: null, result: null, files: [], dark: null, mask: null, turn: 0,
};

export const seen = (what) => what?.settings[session.view];

export function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Two digits of the sd, and no minus before nothing.
export const digits = (v, sd) => v.toFixed(Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(sd || 1)))))
  .replace(/^-(0\.?0*)$/, "$1");

export const unitOf = (axis) => (axis.unit ? ` ${axis.unit}` : "");
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

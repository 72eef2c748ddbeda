// What runs on which device and why: each engine's plan, what it promised, and what else would fit.

import { copying, fill, h, trouble } from "./dom.js";
import { boxes, figures, promised } from "./devices.js";
import { table, verdict } from "./fits.js";
import { count, whole } from "./format.js";

/** What the plans are asked for anew after: another start of the server, or an engine in another state. */
function outline({ state }) {
  return state ? JSON.stringify([state.started_at, state.engines.map(({ name, state: how, actual }) => [name, how, actual])]) : "";
}

function open(root, { store, api }) {
  let asked = "";
  let open = true;
  let kept = null;
  let failed = null;

  async function ask() {
    asked = outline(store);
    try {
      const found = await api.get("plan");
      failed = null;
      if (!open || JSON.stringify(found) === JSON.stringify(kept)) return;
      kept = found;
      draw(root, kept);
    } catch (error) {
      failed = error;
      if (open && !kept) fill(root, h("section", { class: "panel" }, trouble(error)));
    }
  }

  fill(root, h("p", { class: "dim waiting" }, "Working the plans out: it can take a few seconds …"));
  ask();
  const stop = store.on((what) => {
    if ((what === "tick" || what === "state") && outline(store) !== asked) ask();
    else if (what === "history" && failed) ask();
  });
  return () => {
    open = false;
    stop();
  };
}

function draw(root, { engines, machine, fits }) {
  const sizes = engines.flatMap((engine) => (engine.devices ?? []).map((device) => device.total_gib ?? 0));
  const most = Math.max(0, ...sizes);
  fill(root,
    machine ? h("p", { class: "facts dim" }, h("span", {}, "This machine: ", h("b", {}, machine))) : null,
    groups(engines).map((alike) => planned(alike, most)), others(fits));
}

/** Replicas have one plan: it is shown once for all of them. */
function groups(engines) {
  const found = new Map();
  for (const engine of engines) {
    const plan = JSON.stringify({ ...engine, name: "", planned: null, actual: null });
    found.set(plan, [...(found.get(plan) ?? []), engine]);
  }
  return [...found.values()];
}

function planned(alike, most) {
  const [engine] = alike;
  const names = alike.map((one) => one.name).join(", ");
  const head = h("div", { class: "row head" }, h("h2", { class: "clip", title: names }, names), engine.verdict ? h("span", { class: "push" }, verdict(engine.verdict)) : null);
  const devices = engine.devices ?? [];
  return h("section", { class: "panel stack", "aria-label": names }, head,
    engine.note ? h("p", { class: "dim" }, engine.note) : null,
    facts(engine),
    devices.length ? boxes(devices, most) : null,
    devices.length ? figures(devices) : null,
    promised(alike),
    points("Why", engine.reasons), points("Advice", engine.advice),
    engine.command ? h("div", {}, h("h3", {}, "The engine's command"), h("div", { class: "paste" }, h("pre", { tabindex: 0 }, engine.command), copying("Copy", () => engine.command))) : null);
}

function facts(engine) {
  const known = [
    ["Layout", engine.layout],
    ["Weights in", engine.weights],
    ["KV cache in", engine.kv_cache_dtype],
    ["Context", engine.context ? `${whole(engine.context)} tokens` : ""],
    ["At once", engine.concurrency ? `${count(engine.concurrency)} requests of the full context` : ""],
  ].filter(([, value]) => value);
  return known.length ? h("dl", { class: "facts-list" }, known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))) : null;
}

function points(name, lines) {
  return lines?.length ? h("div", {}, h("h3", {}, name), h("ul", { class: "points" }, lines.map((line) => h("li", {}, line)))) : null;
}

function others(fits) {
  if (!fits) return null;
  return h("section", { class: "panel stack", "aria-label": "What else fits this machine" }, h("h2", {}, "What else fits this machine"),
    h("p", { class: "dim" }, "Tokens per second are bounds for a single stream: no engine is faster, most are slower."), table(fits));
}

export const view = { name: "plan", title: "Plan", open };

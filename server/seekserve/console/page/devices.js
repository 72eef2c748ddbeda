// A device's memory drawn to scale, and what was promised of it beside what came of it.

import { h } from "./dom.js";
import { gib, whole } from "./format.js";

const PARTS = [["weights", "Weights", "weights_gib"], ["overhead", "Overhead", "overhead_gib"], ["cache", "KV cache", "kv_cache_gib"], ["free", "Left free", "free_gib"]];
const LABELLED = 0.14; // of the widest box: below it a part has no room for its words
const FAR = 0.05;

/** Boxes as wide as their device is large beside the largest of `most` GiB. */
export function boxes(devices, most) {
  return h("div", { class: "stack" }, legend(devices), h("div", { class: "devices" }, devices.map((device) => box(device, most))));
}

function legend(devices) {
  const known = PARTS.filter(([, , field]) => devices.some((device) => device[field] > 0));
  return h("p", { class: "keys", "aria-hidden": "true" }, known.map(([colour, words]) =>
    h("span", { class: "key" }, h("i", { class: "swatch", style: { "--ink": `var(--${colour})` } }), words)));
}

function box(device, most) {
  const total = device.total_gib || PARTS.reduce((sum, [, , field]) => sum + (device[field] ?? 0), 0) || 1;
  const scale = most || total;
  const words = PARTS.filter(([, , field]) => known(device[field])).map(([, name, field]) => `${name.toLowerCase()} ${gib(device[field])}`).join(", ");
  const parts = PARTS.map(([colour, name, field]) => {
    const size = Math.max(0, device[field] ?? 0);
    if (!size) return null;
    const said = size / scale >= LABELLED ? [h("b", {}, name), h("span", {}, gib(size))] : null;
    return h("div", { class: `part ${colour}`, title: `${name}: ${gib(size)}`, style: { width: `${(size / total) * 100}%` } }, said);
  });
  return h("div", { class: "device" },
    h("p", { class: "row between" }, h("span", { class: "clip" }, device.name), h("span", { class: "num dim" }, gib(device.total_gib))),
    h("div", { class: "box", role: "img", "aria-label": `${device.name}, ${gib(device.total_gib)}: ${words}`, style: { width: `${Math.min(1, total / scale) * 100}%` } }, parts));
}

/** The same figures to read, a row for each run of devices that are alike. */
export function figures(devices) {
  const runs = [];
  for (const device of devices) {
    const last = runs.at(-1);
    if (last && ["total_gib", ...PARTS.map(([, , field]) => field)].every((field) => last.device[field] === device[field])) last.names.push(device.name);
    else runs.push({ device, names: [device.name] });
  }
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Memory by device" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Device", "Total", ...PARTS.map(([, name]) => name)].map((name, place) => h("th", { scope: "col", class: place ? "num" : "" }, name)))),
    h("tbody", {}, runs.map(({ device, names }) => h("tr", {},
      h("th", { scope: "row" }, names.length > 1 ? `${names[0]} and ${names.length - 1} like it` : names[0]),
      [device.total_gib, ...PARTS.map(([, , field]) => device[field])].map((size) => h("td", { class: "num" }, gib(size))))))));
}

const FIGURES = { kv_cache_tokens: ["KV cache, tokens", whole], weights_gib: ["Weights, each device", gib] };

/** What the plan promised beside what each engine has; null where neither is known. */
export function promised(engines) {
  const rows = engines.flatMap(({ name, planned, actual }) => Object.entries(FIGURES).map(([field, [words, format]]) =>
    ({ engine: name, words, format, planned: planned?.[field], actual: actual?.[field] })))
    .filter((one) => known(one.planned) || known(one.actual));
  if (!rows.length) return null;
  const several = engines.length > 1;
  const names = [...(several ? ["Engine"] : []), "Figure", "Promised", "Actual", "Difference"];
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Promised and actual" }, h("table", { class: "promised" },
    h("thead", {}, h("tr", {}, names.map((name, place) => h("th", { scope: "col", class: place > names.length - 4 ? "num" : "" }, name)))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      several ? h("td", {}, row.engine) : null, h("th", { scope: "row" }, row.words),
      [row.planned, row.actual].map((value) => h("td", { class: "num" }, known(value) ? row.format(value) : "–")), apart(row.planned, row.actual))))));
}

const known = (value) => value !== null && value !== undefined;

function apart(planned, actual) {
  if (!planned || !known(actual)) return h("td", { class: "num" }, "–");
  const off = (actual - planned) / planned;
  const size = Math.abs(off * 100).toFixed(1);
  const words = `${Number(size) === 0 ? "" : off > 0 ? "+" : "−"}${size} %`;
  return h("td", { class: `num ${Math.abs(off) > FAR ? "warn" : "good"}` }, words);
}

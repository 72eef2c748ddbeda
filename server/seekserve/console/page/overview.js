// How the service stands: a row of figures, a card for each engine, fifteen minutes of plots.

import { fill, h, say } from "./dom.js";
import { cards } from "./engines.js";
import { count, elapsed, seconds, share } from "./format.js";
import { hint } from "./hint.js";
import { plot } from "./plots.js";

const COLOURS = ["a", "b", "c", "d", "e", "f"];
const MINUTE = 60;
const MANY = 6; // engines whose cards would push the plots out of sight

/** Name, what it is, and the figure and its footnote from the store and the classes' names. */
const TILES = [
  ["Tokens out", "/s", (store) => count(store.last("tokens_out")), () => "generated"],
  ["Tokens in", "/s", (store) => count(store.last("tokens_in")), (store) => `${share(store.last("cached_share"))} from cache`],
  ["First token, p50", "", (store) => seconds(store.last("ttft_p50")), () => "last minute"],
  ["First token, p99", "", (store) => seconds(store.last("ttft_p99")), () => "last minute"],
  ["Requests", "/s", (store) => count(store.last("requests")), () => "finished"],
  ["Running", "", (store) => count(store.last("running")), () => "at engines"],
  ["Waiting", "", (store) => count(store.last("waiting")), () => "for a place"],
  ["Refused", "", (store, classes) => count(turnedAway(store, classes)), () => "last minute"],
];

/** How many were refused in the last minute, or null where nobody counts. */
function turnedAway(store, classes) {
  const known = classes.map((name) => store.sum(`refused:${name}`, MINUTE)).filter((value) => value !== null);
  return known.length ? Math.round(known.reduce((total, value) => total + value, 0)) : null;
}

function tiles(store, classes) {
  const made = TILES.map(([name, unit, figure, note]) => {
    const big = h("span", { class: "big" });
    const foot = h("p", { class: "dim" });
    const node = h("div", { class: "panel tile" }, h("p", { class: "dim" }, name), h("p", {}, big, unit ? h("span", { class: "unit" }, unit) : null), foot);
    return { node, update: () => (say(big, figure(store, classes)), say(foot, note(store))) };
  });
  return { node: h("section", { class: "tiles", "aria-label": "Now" }, made.map((one) => one.node)), update: () => made.forEach((one) => one.update()) };
}

/** The plots, from left to right. */
function plots(store, classes, engines) {
  const each = (names, kind) => names.map((name, place) => ({ name: `${kind}:${name}`, words: name, colour: COLOURS[place % COLOURS.length] }));
  const names = classes.map((one) => one.name);
  const promised = classes.map((one, place) => ({ level: one.promised, colour: COLOURS[place % COLOURS.length] }));
  const shares = each(names, "share").map((line, place) => ({ ...line, beside: `of ${share(classes[place].promised)}` }));
  return [
    { title: "Tokens per second", lines: [{ name: "tokens_out", words: "out", colour: "a", fill: true }, { name: "tokens_in", words: "in", colour: "b" }], format: count, top: 10 },
    { title: "Time to first token", lines: [{ name: "ttft_p50", words: "p50", colour: "a", fill: true }, { name: "ttft_p99", words: "p99", colour: "c" }], format: seconds, top: 0.1 },
    { title: "KV cache in use", lines: each(engines, "kv"), format: share },
    { title: "Waiting, by class", lines: each(names, "waiting"), format: count, top: 4, stacked: true },
    { title: "Refused per second, by class", lines: each(names, "refused"), format: count, top: 4, stacked: true },
    { title: "Share of what runs, of what is promised", lines: [...shares, ...promised], format: share },
  ].map((one) => plot(store, one));
}

/** Where clients are served, by which models, and since when. */
function facts(store) {
  const up = h("span");
  const { state } = store;
  const names = state.models.map((model) => model.id);
  const node = h("p", { class: "facts dim" },
    h("span", {}, "Serving at ", h("code", {}, state.api)),
    names.length ? h("span", {}, names.length > 1 ? "Models " : "Model ", h("code", {}, names.join(", "))) : null,
    h("span", {}, "Up ", up));
  return { node, update: () => say(up, elapsed(store.now() - state.started_at)) };
}

/** What the page is built for: it is built anew when this changes. */
function outline({ state }) {
  return JSON.stringify([state.engines.map((engine) => engine.name), state.classes, state.models, state.api, state.started_at, state.door]);
}

function open(root, { store }) {
  let built = "";
  let parts = [];
  const build = () => {
    parts.forEach((part) => part.close?.());
    built = outline(store);
    const { classes } = store.state;
    const drawn = plots(store, classes, store.engines.map((engine) => engine.name));
    const [top, figures, first, engines] = [facts(store), tiles(store, classes.map((one) => one.name)), hint(store), cards(store)];
    parts = [top, figures, first, engines, ...drawn];
    const below = [
      h("section", { "aria-label": "Engines" }, engines.node),
      h("section", { class: "grid plots", "aria-label": "The last fifteen minutes" }, drawn.map((one) => one.node)),
    ];
    if (store.engines.length > MANY) below.reverse();
    fill(root, top.node, figures.node, first.node, below);
  };
  const update = () => {
    if (!store.state) return;
    if (outline(store) !== built) build();
    parts.forEach((part) => part.update());
  };
  update();
  const stop = store.on((what) => what !== "event" && what !== "line" && update());
  return () => {
    stop();
    parts.forEach((part) => part.close?.());
  };
}

export const view = { name: "overview", title: "Overview", open };

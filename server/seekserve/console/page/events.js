// What happened: starts, refusals, streams broken and continued, newest first, as it happens. The server
// keeps the last thousand; this view asks for older ones by a button.

import { button, copying, fill, h, say, trouble } from "./dom.js";
import { clock, moment } from "./format.js";

const KINDS = {
  engine: "engine", again: "sent again", refused: "refused", broken: "broken",
  continued: "continued", reload: "reload", keys: "keys", server: "server",
};
const LEVELS = { info: "All levels", warn: "Warnings and errors", error: "Errors" };
const DAY_S = 86_400;
const KEPT = 1000; // as many as the server keeps; of those that come while the list is held, more

function open(root, { store, api }) {
  const known = new Map(); // number -> event
  const rows = new Map(); // number -> {event, node}
  const wanted = { kind: "", level: "info", text: "" };
  let more = false;
  let held = null; // while held, the newest number that is shown
  let began = null;

  const kind = select("Kind", { "": "All kinds", ...KINDS }, (value) => (wanted.kind = value));
  const level = select("Level", LEVELS, (value) => (wanted.level = value));
  const text = h("input", { type: "search", placeholder: "Words, request, engine, key", "aria-label": "Only events with these words", on: { input: () => ((wanted.text = text.value.trim().toLowerCase()), draw()) } });
  const hold = h("button", { type: "button", "aria-pressed": "false", class: "choice", on: { click: () => holding() } }, "Hold");
  const tally = h("span", { class: "dim push num" });
  const list = h("ol", { class: "events", "aria-label": "Events, newest first" });
  const empty = h("p", { class: "dim waiting" });
  const wrong = h("div");
  const older = button("Older events", () => ask(), { class: "older" });

  function select(name, choices, chosen) {
    return h("select", { "aria-label": name, on: { change: (event) => (chosen(event.target.value), draw()) } },
      Object.entries(choices).map(([value, words]) => h("option", { value }, words)));
  }

  function holding() {
    held = held === null ? Math.max(0, ...known.keys()) : null;
    hold.setAttribute("aria-pressed", String(held !== null));
    draw();
  }

  /** What the store has; after a gap in it, or another start of the server, what was older is let go. */
  function take() {
    const lately = store.happened;
    const newest = Math.max(-1, ...known.keys());
    const gap = known.size && lately.length && lately.at(-1).number > newest + 1;
    const anew = began !== null && store.state && began !== store.state.started_at;
    if (gap || anew) {
      known.clear();
      held = held === null ? null : Infinity;
    }
    if (!known.size) more = store.more;
    began = store.state?.started_at ?? began;
    lately.forEach((event) => known.set(event.number, event));
    const numbers = [...known.keys()].sort((left, right) => right - left);
    numbers.slice(held === null ? KEPT : 10 * KEPT).forEach((number) => known.delete(number));
    draw();
  }

  async function ask() {
    fill(wrong);
    try {
      const before = known.size ? `?before=${Math.min(...known.keys())}` : "";
      const found = await api.get(`events${before}`);
      more = found.more;
      found.events.forEach((event) => known.set(event.number, event));
      draw();
    } catch (error) {
      fill(wrong, trouble(error));
    }
  }

  const fitting = (event) => (!wanted.kind || event.kind === wanted.kind)
    && Object.keys(LEVELS).indexOf(event.level) >= Object.keys(LEVELS).indexOf(wanted.level)
    && (!wanted.text || [event.words, event.request, event.engine, event.key, event.kind].some((said) => said?.toLowerCase().includes(wanted.text)));

  function draw() {
    const all = [...known.values()].filter(fitting).sort((left, right) => right.number - left.number);
    const shown = held === null ? all : all.filter((event) => event.number <= held);
    place(shown);
    hold.textContent = held === null ? "Hold" : `Go on (${all.length - shown.length} new)`;
    say(tally, `${shown.length} of ${known.size}`);
    empty.hidden = shown.length > 0;
    say(empty, known.size ? "No event that is known is like that." : "Nothing has happened yet. Starts, refusals and broken streams will be listed here.");
    older.hidden = !more || !known.size;
  }

  /** Leaves the rows that stay where they are: a selection in them lives on. */
  function place(shown) {
    const wantedNow = new Set(shown.map((event) => event.number));
    for (const [number, { node }] of rows) {
      if (wantedNow.has(number)) continue;
      node.remove();
      rows.delete(number);
    }
    let next = list.firstChild;
    for (const event of shown) {
      let one = rows.get(event.number);
      if (one && one.event !== event && JSON.stringify(one.event) !== JSON.stringify(event)) {
        const node = row(event);
        one.node.replaceWith(node);
        if (next === one.node) next = node;
        rows.set(event.number, (one = { event, node }));
      } else if (!one) rows.set(event.number, (one = { event, node: row(event) }));
      if (one.node === next) next = next.nextSibling;
      else list.insertBefore(one.node, next);
    }
  }

  fill(root, h("section", { class: "panel stack" },
    h("div", { class: "row filters" }, kind, level, text, hold, tally), empty, list, h("div", { class: "row" }, older), wrong));
  take();
  const stop = store.on((what) => ["event", "history", "state"].includes(what) && take());
  return stop;
}

function row(event) {
  const old = Date.now() / 1000 - event.at > DAY_S / 2;
  const meta = [
    event.engine ? h("b", { title: "The engine" }, event.engine) : null,
    event.key ? h("span", {}, "key ", h("b", {}, event.key)) : null,
    event.request ? copying(event.request, () => event.request, { class: "quiet mono id", title: "Copy this request id" }) : null,
  ].filter(Boolean);
  return h("li", { class: "event", "data-level": event.level },
    h("time", { datetime: new Date(event.at * 1000).toISOString(), title: moment(event.at), class: "dim" }, old ? moment(event.at).slice(5) : clock(event.at)),
    h("span", { class: `kind ${{ warn: "warn", error: "bad" }[event.level] ?? "dim"}` }, KINDS[event.kind] ?? event.kind),
    h("span", { class: "words" }, event.words, event.times > 1 ? h("b", { class: "times", title: `This happened ${event.times} times in a few seconds` }, `× ${event.times}`) : null),
    meta.length ? h("span", { class: "meta dim" }, meta) : null);
}

export const view = { name: "events", title: "Events", open };

// What was used, from the ledger: by key, by day, as a table and as a file. Days are UTC.

import { bars } from "./plots.js";
import { choice } from "./knobs.js";
import { button, fill, h, trouble } from "./dom.js";
import { count, money, share, whole } from "./format.js";

const SPANS = [["24h", "24 hours", 1], ["7d", "7 days", 7], ["30d", "30 days", 30]];
const KINDS = [["key", "key"], ["class", "class"], ["model", "model"], ["day", "day"]];
const INKS = ["a", "b", "c", "d", "e", "f"];
const DAY_S = 86_400;
// Tokens by kind, the cheapest first; what is told is nested, what is drawn is not.
const PARTS = [
  ["from the cache", "b", (row) => row.cached], ["other prompt", "a", (row) => row.prompt - row.cached],
  ["thinking", "d", (row) => row.reasoning], ["answer", "c", (row) => row.completion - row.reasoning],
];

const named = (name) => (name === "-" ? "no key" : name);
const tokens = (row) => row.prompt + row.completion;
const swatch = (ink) => h("i", { class: "swatch", style: { background: `var(--${ink})` } });

/** Returns {node, load()}; `load` asks the server anew. */
export function usage(ctx) {
  const { api, store } = ctx;
  const body = h("div", { class: "stack" });
  const by = choice(KINDS);
  const measure = choice([["tokens", "tokens"], ["cost", "cost"]]);
  let span = "7d";
  let turn = 0;
  const spans = SPANS.map(([name, words]) => h("button", { type: "button", class: "quiet", "aria-pressed": String(name === span), on: { click: () => choose(name) } }, words));
  by.addEventListener("change", () => load());
  measure.addEventListener("change", () => load());
  const node = h("section", { class: "panel stack", "aria-label": "Usage" },
    h("div", { class: "row" }, h("h2", {}, "Usage"), h("span", { class: "row", role: "group", "aria-label": "Span" }, spans),
      h("label", {}, "Show ", measure), h("label", {}, "Table by ", by),
      h("span", { class: "acts" }, button("CSV", save, { title: "The days of each key, as a file for spreadsheets" }))),
    body);
  const wrong = h("div", {});
  node.append(wrong);

  function choose(name) {
    span = name;
    spans.forEach((one, place) => one.setAttribute("aria-pressed", String(SPANS[place][0] === span)));
    load();
  }

  async function save() {
    fill(wrong);
    await api.download(`usage.csv?by=key_day&since=${span}`, `seekserve-usage-${span}.csv`).catch((error) => fill(wrong, trouble(error)));
  }

  /** Only the newest question's answer is shown. */
  async function load() {
    const mine = ++turn;
    try {
      const [keys, days, told] = await Promise.all(["key", "key_day", by.value].map((one) => api.get(`usage?by=${one}&since=${span}`)));
      if (mine === turn) draw(keys, days, told);
    } catch (error) {
      if (mine === turn) fill(body, trouble(error));
    }
  }

  function draw(keys, days, told) {
    fill(wrong);
    if (!keys.rows.length) {
      fill(body, h("p", { class: "dim" }, "Nothing was asked in this span."));
      return;
    }
    const costs = measure.value === "cost";
    const value = costs ? (row) => row.cost ?? 0 : tokens;
    const figure = costs ? (sum) => money(sum, store.state?.currency ?? "") : count;
    const parts = costs ? [["cost", "a", value]] : PARTS;
    const most = [...keys.rows].sort((one, other) => value(other) - value(one)).slice(0, 12);
    fill(body, h("div", { class: "grid" },
      h("div", { class: "stack" }, h("h3", {}, `By key${keys.rows.length > most.length ? `, the ${most.length} largest` : ""}`),
        bars(most.map((row) => ({ words: named(row.name), parts: parts.map(([words, colour, of]) => ({ words, colour, value: of(row) })) })), figure),
        costs ? null : h("div", { class: "keys" }, PARTS.map(([words, ink]) => h("span", { class: "key" }, swatch(ink), words)))),
      daily(days.rows, most.slice(0, INKS.length - 1).map((row) => row.name), value, figure)),
    table(told, by.value));
  }

  /** A column a day, the largest keys apart and the others together. */
  function daily(rows, names, value, figure) {
    const length = SPANS.find(([name]) => name === span)[2];
    const last = Math.floor(store.now() / DAY_S);
    const days = Array.from({ length: length + 1 }, (_, place) => new Date((last - length + place) * DAY_S * 1000).toISOString().slice(0, 10));
    const sums = days.map((day) => {
      const of = new Map();
      for (const row of rows) if (row.day === day) of.set(names.includes(row.name) ? row.name : "", (of.get(names.includes(row.name) ? row.name : "") ?? 0) + value(row));
      return of;
    });
    const totals = sums.map((of) => [...of.values()].reduce((sum, one) => sum + one, 0));
    const top = Math.max(...totals) || 1;
    const others = sums.some((of) => of.has(""));
    const inks = [...names.map((name, place) => [name, INKS[place]]), ...(others ? [["", INKS.at(-1)]] : [])];
    return h("div", { class: "stack" }, h("h3", {}, "By day", h("span", { class: "dim note" }, `  highest ${figure(top)}`)),
      h("div", { class: "days", role: "img", "aria-label": `By day: ${days.map((day, place) => `${day} ${figure(totals[place])}`).join(", ")}` },
        days.map((day, place) => h("div", { class: "day", title: `${day}: ${figure(totals[place])}` },
          h("div", { class: "column" }, inks.map(([name, ink]) => h("i", { style: { height: `${((sums[place].get(name) ?? 0) / top) * 100}%`, background: `var(--${ink})` } }))),
          h("span", { class: "dim" }, days.length < 10 || (days.length - 1 - place) % 7 === 0 ? day.slice(5) : "\u00a0")))),
      h("div", { class: "keys" }, inks.map(([name, ink]) => h("span", { class: "key long" }, swatch(ink), h("bdi", {}, named(name) || "others")))));
  }

  return { node, load };
}

function table({ rows, totals }, by) {
  const heads = [by[0].toUpperCase() + by.slice(1), "Requests", "Answered", "Refused", "Broken", "Prompt", "Cached", "Thinking", "Completion", "Cost"];
  const line = (row, words) => h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, words)),
    [whole(row.requests), whole(row.answered), whole(row.refused), whole(row.broken), whole(row.prompt), share(row.prompt ? row.cached / row.prompt : null),
      whole(row.reasoning), whole(row.completion), money(row.cost, row.currency)].map((cell) => h("td", { class: "num" }, cell)));
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Usage in figures" }, h("table", { class: "figures" },
    h("thead", {}, h("tr", {}, heads.map((name, place) => h("th", { scope: "col", class: place ? "num" : null }, name)))),
    h("tbody", {}, rows.map((row) => line(row, by === "key" ? named(row.name) : row.name || "-"))),
    h("tfoot", {}, totals.map((row) => line(row, "All")))));
}

// What else of the catalog this machine could serve: a table to sort and to narrow down.

import { copying, fill, h, say } from "./dom.js";
import { count, whole } from "./format.js";

export const VERDICTS = { fits: ["fits", "good"], tight: ["tight", "warn"], does_not_fit: ["does not fit", "bad"] };
const RANK = Object.keys(VERDICTS);
const COLUMNS = [ // field, name, how it is said, whether it is a figure
  ["verdict", "Verdict", null, false],
  ["model", "Model", null, false],
  ["weights", "Weights", (value) => value || "–", false],
  ["context", "Context", whole, true],
  ["concurrency", "At once", count, true],
  ["tokens_per_s", "Tokens/s", count, true],
  ["why", "Why", (value) => value || "", false],
];
const AT_FIRST = 12; // rows, before all are asked for
const NARROWED = { fits: ["Fits", ["fits"]], tight: ["Fits or tight", ["fits", "tight"]], all: ["All", RANK] };

export function verdict(name) {
  const [words, colour] = VERDICTS[name] ?? [name, "dim"];
  return h("span", { class: `pill ${colour}` }, words);
}

/** The table with its buttons. `fits` as the server gives it. */
export function table(fits) {
  let by = "verdict";
  let down = false;
  let whole = false;
  let narrow = fits.some((one) => one.verdict === "fits") ? "fits" : "all";
  const body = h("tbody", { role: "rowgroup" });
  const tally = h("span", { class: "dim", role: "status" });
  const heads = COLUMNS.map(([field, name, , figure]) => h("th", { scope: "col", role: "columnheader", class: figure ? "num" : "" },
    h("button", { type: "button", class: "sort", on: { click: () => sorted(field) } }, name)));
  const choices = Object.entries(NARROWED).map(([name, [words]]) => h("button", { type: "button", class: "choice", on: { click: () => narrowed(name) } }, words));

  function sorted(field) {
    down = by === field ? !down : COLUMNS.find(([one]) => one === field)[3];
    by = field;
    draw();
  }

  function narrowed(name) {
    narrow = name;
    draw();
  }

  const rest = h("button", { type: "button", on: { click: () => ((whole = true), draw()) } });

  function draw() {
    const kept = fits.filter((one) => NARROWED[narrow][1].includes(one.verdict)).sort(order(by, down));
    Object.keys(NARROWED).forEach((name, place) => choices[place].setAttribute("aria-pressed", String(name === narrow)));
    heads.forEach((head, place) => {
      if (COLUMNS[place][0] === by) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    rest.hidden = whole || kept.length <= AT_FIRST;
    say(rest, `Show all ${kept.length}`);
    fill(tally, `${kept.length} of ${fits.length}`);
    fill(body, kept.length ? kept.slice(0, rest.hidden ? undefined : AT_FIRST).map(row) : h("tr", { role: "row" }, h("td", { role: "cell", colspan: COLUMNS.length + 1, class: "dim" }, "Nothing of the catalog does. All shows why.")));
  }

  draw();
  return h("div", { class: "stack" },
    h("div", { class: "row", role: "group", "aria-label": "Which models" }, choices, tally),
    h("div", { class: "scroll" }, h("table", { class: "fits", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads, h("th", { scope: "col", role: "columnheader" }, h("span", { class: "unseen" }, "Command")))), body)), h("div", { class: "row" }, rest));
}

function row(one) {
  return h("tr", { role: "row" }, COLUMNS.map(([field, name, words, figure]) =>
    h("td", { role: "cell", class: figure ? `num ${field}` : field, "data-name": name }, field === "verdict" ? verdict(one.verdict) : words ? words(one[field]) : one[field])),
  h("td", { role: "cell", class: "command" }, one.command ? copying("Copy", () => one.command, { title: one.command, "aria-label": `Copy: ${one.command}` }) : null));
}

/** What is not known comes last, whichever way. */
function order(by, down) {
  const value = (one) => (by === "verdict" ? RANK.indexOf(one.verdict) : one[by]);
  return (left, right) => {
    const [a, b] = [value(left), value(right)];
    if (a === b) return 0;
    if (a === null || a === undefined || a === "") return 1;
    if (b === null || b === undefined || b === "") return -1;
    return (typeof a === "number" ? a - b : String(a).localeCompare(String(b))) * (down ? -1 : 1);
  };
}

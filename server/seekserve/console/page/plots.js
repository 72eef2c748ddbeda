// Live plots over uPlot: a title with the newest figures, the lines, and words for those who hear the page.

import { h, say } from "./dom.js";
import { clock } from "./format.js";

const SPANS_S = [120, 300, 900]; // a server that has just come up would be a dot at the edge of the longest
const HEIGHT = 132;

/** A colour of the style sheet, as it is in the theme that holds now. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A plot of the store's series.
 *
 * `lines`: [{name (of the series), words, colour (a variable of the style sheet), fill, beside, level}]: `beside`
 * stands after the figure in the key; a line with a `level` in place of a name is that figure throughout, dashed
 * and without a key. `format` turns a figure into words; `top` is the least
 * upper end of the axis; `stacked` sets each line upon those after it. Returns {node, update(), close()};
 * `update` costs nothing while the plot is out of sight. */
export function plot(store, { title, lines, format, top = 1, stacked = false }) {
  const told = lines.filter((line) => line.level === undefined);
  const figures = told.map(() => h("span", { class: "figure" }));
  const keys = told.map((line, place) => h("span", { class: "key" },
    h("i", { class: "swatch", style: { "--ink": `var(--${line.colour})` } }), h("span", { class: "key-words", title: line.words ?? "" }, line.words ?? ""),
    figures[place], line.beside ? h("span", { class: "beside" }, line.beside) : null));
  const when = h("span", { class: "when" });
  const stage = h("div", { class: "stage", role: "img", "aria-label": title, tabindex: 0 });
  const node = h("section", { class: "panel plot" }, h("h2", {}, title, when), h("div", { class: "keys" }, keys), stage);
  let drawn = null;
  let seen = false;

  const span = () => SPANS_S.find((one) => store.now() - (store.times[0] ?? store.now()) < one) ?? SPANS_S.at(-1);
  const columns = () => {
    const values = lines.map((line) => (line.level === undefined ? store.column(line.name) : store.times.map(() => line.level)));
    return [store.times, ...(stacked ? summed(values) : values)];
  };

  function draw() {
    drawn?.destroy();
    drawn = new globalThis.uPlot(options(), columns(), stage);
  }

  function options() {
    const axis = { stroke: colour("dim"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return {
      width: stage.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 5 }, sync: { key: "all" } },
      padding: [8, 18, 0, 0],
      scales: {
        x: { time: true, range: () => [store.now() - span(), store.now()] },
        y: { range: (_, low, high) => [0, high > top ? high * 1.1 : top] },
      },
      axes: [
        { ...axis, space: 60, size: 20, values: (_, ticks) => ticks.map((at) => clock(at).slice(0, ticks[0] % 60 || ticks[1] % 60 ? 8 : 5)) },
        { ...axis, space: 26, size: 56, values: (_, ticks) => ticks.map((value) => bare(format(value))) },
      ],
      series: [{}, ...lines.map(shape)],
      bands: stacked ? lines.slice(1).map((_, place) => ({ series: [place + 1, place + 2] })) : [],
      hooks: { setCursor: [(one) => pointed(one.cursor.idx)] },
    };
  }

  function shape(line) {
    const ink = colour(line.colour);
    const dash = line.level === undefined ? undefined : [4, 4];
    return { stroke: ink, width: dash ? 1 : 1.5, dash, points: { show: false }, spanGaps: false, fill: line.fill || stacked ? `${ink}${stacked ? "66" : "26"}` : undefined };
  }

  /** The figures under the cursor, else the newest. */
  function pointed(place) {
    const past = place !== null && place !== undefined && place < store.times.length;
    told.forEach((line, at) => say(figures[at], format((past ? store.column(line.name)[place] : store.last(line.name)) ?? null)));
    say(when, past ? clock(store.times[place]) : "");
  }

  /** The cursor by keyboard: a second a press, half a minute with Shift, away with Escape. */
  stage.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!drawn || (!step && event.key !== "Escape")) return;
    event.preventDefault();
    const place = (drawn.cursor.idx ?? store.times.length - 1) + (step ?? 0) * (event.shiftKey ? 30 : 1);
    const at = store.times[Math.min(store.times.length - 1, Math.max(0, place))];
    drawn.setCursor({ left: step ? drawn.valToPos(at, "x") : -10, top: step ? HEIGHT / 3 : -10 }, true, true);
  });
  stage.addEventListener("blur", () => drawn?.setCursor({ left: -10, top: -10 }, true, true));

  function update() {
    pointed(drawn?.cursor.idx);
    if (!seen || document.hidden) return;
    if (!drawn) draw();
    else drawn.setData(columns());
    stage.setAttribute("aria-label", `${title}: ${told.map((line) => [line.words, format(store.last(line.name)), line.beside].filter(Boolean).join(" ")).join(", ")}`);
  }

  const sizes = new ResizeObserver(() => drawn?.setSize({ width: stage.clientWidth, height: HEIGHT }));
  const sight = new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    if (seen) update();
  }, { rootMargin: "200px" });
  const repaint = () => drawn && draw();
  sizes.observe(stage);
  sight.observe(stage);
  addEventListener("theme", repaint);
  return {
    node,
    update,
    close() {
      sizes.disconnect();
      sight.disconnect();
      removeEventListener("theme", repaint);
      drawn?.destroy();
    },
  };
}

/** 7.50 as 7.5, 2.00 s as 2 s: an axis needs no more. */
function bare(words) {
  return words.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}

/** Each on top of those after it, so the first is the highest; null where nothing is known. */
function summed(values) {
  const made = values.map((one) => [...one]);
  for (let line = made.length - 2; line >= 0; line -= 1) {
    made[line + 1].forEach((below, at) => {
      if (below !== null) made[line][at] = (made[line][at] ?? 0) + below;
    });
  }
  return made;
}

/** Bars for days or names: [{words, parts: [{value, colour, words}]}], to one scale. */
export function bars(rows, format) {
  const most = Math.max(...rows.map((row) => row.parts.reduce((sum, part) => sum + part.value, 0)), 0) || 1;
  return h("div", { class: "bars", role: "table" }, rows.map((row) => {
    const total = row.parts.reduce((sum, part) => sum + part.value, 0);
    return h("div", { class: "bar-row", role: "row" },
      h("span", { class: "bar-name", role: "rowheader", title: row.words }, row.words),
      h("span", { class: "bar-track", role: "presentation" }, row.parts.map((part) => h("i", {
        title: `${part.words}: ${format(part.value)}`,
        style: { width: `${(part.value / most) * 100}%`, background: `var(--${part.colour})` },
      }))),
      h("span", { class: "bar-figure", role: "cell" }, format(total)));
  }));
}

/** A share of something as a filled line, coloured as it fills up unless filling up is what is wanted.
 * `update(share, words)`. */
export function gauge(words, { wanted = false } = {}) {
  const inner = h("i", {});
  const label = h("span", { class: "gauge-words" });
  const track = h("div", { class: "gauge-track", role: "progressbar", "aria-label": words, "aria-valuemin": 0, "aria-valuemax": 100 }, inner);
  return {
    node: h("div", { class: "gauge" }, track, label),
    update(share, said) {
      const known = share !== null && share !== undefined;
      track.classList.toggle("unknown", wanted && !known);
      if (known) track.setAttribute("aria-valuenow", Math.round(share * 100));
      else track.removeAttribute("aria-valuenow");
      inner.style.width = known ? `${Math.min(1, share) * 100}%` : wanted ? "100%" : "0";
      track.dataset.level = !known || wanted ? "" : share > 0.95 ? "full" : share > 0.85 ? "high" : "";
      say(label, said);
    },
  };
}

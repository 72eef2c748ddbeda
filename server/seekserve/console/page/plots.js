// Live plots over uPlot: a title with the newest figures, the lines, and words for those who hear the page.

import { h, say } from "./dom.js";

const SPAN_S = 900;
const HEIGHT = 132;

/** A colour of the style sheet, as it is in the theme that holds now. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A plot of the store's series.
 *
 * `lines`: [{name (of the series), words, colour (a variable of the style sheet), fill}]; `format` turns a
 * figure into words; `top` is the least upper end of the axis. Returns {node, update(), close()}; `update`
 * costs nothing while the plot is out of sight. */
export function plot(store, { title, lines, format, top = 1, stacked = false }) {
  const figures = lines.map((line) => h("span", { class: "figure" }));
  const key = lines.map((line, place) => h("span", { class: "key" },
    h("i", { class: "swatch", style: { background: `var(--${line.colour})` } }), line.words ? `${line.words} ` : null, figures[place]));
  const stage = h("div", { class: "stage", role: "img" });
  const node = h("section", { class: "panel plot" }, h("h3", {}, title, h("span", { class: "keys" }, key)), stage);
  let drawn = null;
  let seen = true;

  const columns = () => {
    const [times, ...values] = store.columns(lines.map((line) => line.name));
    return [times, ...(stacked ? summed(values) : values)];
  };

  function draw() {
    drawn?.destroy();
    const now = store.now();
    drawn = new globalThis.uPlot(options(), columns(), stage);
    drawn.setScale("x", { min: now - SPAN_S, max: now });
  }

  function options() {
    const axis = { stroke: colour("dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return {
      width: stage.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 5 } },
      padding: [8, 8, 0, 0],
      scales: {
        x: { time: true, range: () => [store.now() - SPAN_S, store.now()] },
        y: { range: (_, low, high) => [0, Math.max(top, (high ?? 0) * 1.1)] },
      },
      axes: [
        { ...axis, space: 70, size: 24, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })) },
        { ...axis, space: 26, size: 52, values: (_, ticks) => ticks.map((value) => format(value)) },
      ],
      series: [{}, ...(stacked ? [...lines].reverse() : lines).map(shape)],
      hooks: { setCursor: [(one) => pointed(one.cursor.idx)] },
    };
  }

  function shape(line) {
    const ink = colour(line.colour);
    return { stroke: ink, width: 1.5, points: { show: false }, spanGaps: false, fill: line.fill ? `${ink}33` : undefined };
  }

  /** The figures under the cursor, else the newest. */
  function pointed(place) {
    lines.forEach((line, at) => {
      const known = store.series.get(line.name);
      say(figures[at], format(place === null || place === undefined ? store.last(line.name) : known?.[place] ?? null));
    });
  }

  function update() {
    pointed(drawn?.cursor.idx);
    if (!seen || document.hidden) return;
    if (!drawn) draw();
    else drawn.setData(columns());
    stage.setAttribute("aria-label", `${title}: ${lines.map((line) => `${line.words ?? ""} ${format(store.last(line.name))}`).join(", ")}`);
  }

  const sizes = new ResizeObserver(() => drawn?.setSize({ width: stage.clientWidth, height: HEIGHT }));
  const sight = new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    if (seen) update();
  });
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

/** Each on top of those after it; drawn first to last, the highest first. */
function summed(values) {
  const total = [];
  const above = [...values].reverse().map((one) => one.map((value, at) => (total[at] = (total[at] ?? 0) + (value ?? 0))));
  return above.reverse();
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

/** A share of something as a filled line. `update(share, words)`. */
export function gauge(words) {
  const inner = h("i", {});
  const label = h("span", { class: "gauge-words" });
  const track = h("div", { class: "gauge-track", role: "progressbar", "aria-label": words, "aria-valuemin": 0, "aria-valuemax": 100 }, inner);
  return {
    node: h("div", { class: "gauge" }, track, label),
    update(share, said) {
      const known = share !== null && share !== undefined;
      track.classList.toggle("unknown", !known);
      if (known) track.setAttribute("aria-valuenow", Math.round(share * 100));
      else track.removeAttribute("aria-valuenow");
      inner.style.width = known ? `${Math.min(1, share) * 100}%` : "100%";
      track.dataset.level = known && share > 0.95 ? "full" : known && share > 0.85 ? "high" : "";
      say(label, said);
    },
  };
}

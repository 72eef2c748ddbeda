// A card for each engine: how it stands, what it is doing, and what to do where it failed.

import { fill, h, say } from "./dom.js";
import { elapsed, gib, seconds, share, whole } from "./format.js";
import { gauge } from "./plots.js";

const COLOURS = { ready: "good", starting: "warn", draining: "warn", failed: "bad", stopped: "dim" };

/** All of them; {node, update()}. Those who build it anew do so when an engine comes or goes. */
export function cards(store) {
  const made = store.engines.map(() => card(store));
  const empty = h("p", { class: "panel dim" }, "This server has no engine.");
  return {
    node: h("div", { class: "grid" }, made.length ? made.map((one) => one.node) : empty),
    update: () => store.engines.forEach((engine, place) => made[place]?.update(engine)),
  };
}

function card(store) {
  const name = h("h2", { class: "clip" });
  const state = h("span", { class: "pill" });
  const models = h("span", { class: "dim clip" });
  const stage = h("span");
  const since = h("span", { class: "num" });
  const bars = { load: gauge("How far it is loaded", { wanted: true }), cache: gauge("KV cache in use") };
  const facts = h("dl", { class: "facts-list" });
  const cause = h("p");
  const remedy = h("p", { class: "dim" });
  const trouble = h("div", { class: "trouble", role: "alert", hidden: true }, cause, remedy);
  const stages = h("p", { class: "dim small" });
  const figures = rows(facts, ["Running", "Restarts", "KV cache", "Weights", "Machines"]);
  const node = h("article", { class: "panel card" },
    h("div", { class: "row head" }, name, models, h("span", { class: "push" }, state)),
    h("p", { class: "row between" }, stage, since), bars.load.node, bars.cache.node, facts, trouble, stages);

  function update(engine) {
    say(name, engine.name);
    name.title = engine.name;
    say(state, engine.ours ? engine.state : `${engine.state}, attached`);
    state.className = `pill ${COLOURS[engine.state] ?? "dim"}`;
    say(models, engine.models.join(", ") || "no model known yet");
    models.title = models.textContent;
    doing(engine);
    figures({
      Running: whole(store.last(`running:${engine.name}`)),
      Restarts: `${engine.restarts}`,
      "KV cache": tokens(engine),
      Weights: weight(engine),
      Machines: engine.nodes ? `${engine.nodes.joined} of ${engine.nodes.wanted} joined` : null,
    });
    trouble.hidden = !engine.cause;
    say(cause, engine.cause ?? "");
    say(remedy, engine.remedy ?? "");
    say(stages, passed(engine));
  }

  /** Loading and serving each have their bar, in the same place. */
  function doing(engine) {
    const loads = engine.state === "starting";
    const serves = engine.state === "ready";
    const used = store.last(`kv:${engine.name}`);
    const known = engine.progress !== null && engine.progress !== undefined;
    bars.load.node.hidden = !loads;
    bars.cache.node.hidden = loads || (serves && store.sum(`kv:${engine.name}`) === null);
    if (loads) bars.load.update(engine.progress, "");
    else bars.cache.update(serves ? used : null, "");
    say(stage, serves && used !== null ? `KV cache ${share(used)} in use` : serves ? "serving" : engine.stage_words || engine.stage || engine.state);
    const time = engine.since ? elapsed(store.now() - engine.since) : "";
    say(since, time && !loads ? `for ${time}` : [loads && known ? share(engine.progress) : "", time].filter(Boolean).join(" · "));
  }
  return { node, update };
}

/** A list of terms, of which those without a figure are left out; returns how to write them. */
function rows(list, names) {
  const made = names.map((name) => ({ name, term: h("dt", {}, name), value: h("dd") }));
  fill(list, made.map(({ term, value }) => h("div", {}, term, value)));
  return (figures) => made.forEach(({ name, value }) => {
    value.parentNode.hidden = figures[name] === null;
    say(value, figures[name] ?? "");
  });
}

/** What it has, else what it was promised. */
function tokens({ actual, planned }) {
  const has = actual?.kv_cache_tokens ?? null;
  if (has !== null) return `${whole(has)} tokens`;
  const promised = planned?.kv_cache_tokens ?? null;
  return promised === null ? null : `${whole(promised)} tokens planned`;
}

function weight({ actual, planned }) {
  const has = actual?.weights_gib ?? planned?.weights_gib ?? null;
  return has === null ? null : gib(has);
}

/** How long each stage of its start took, and how it has ended so far. */
function passed({ stage_s, ends }) {
  const stages = Object.entries(stage_s ?? {}).map(([stage, took]) => `${stage} ${seconds(took)}`);
  const ended = Object.entries(ends ?? {}).filter(([, times]) => times).map(([how, times]) => `${how} × ${times}`);
  return [stages.length ? `Start: ${stages.join(" · ")}` : "", ended.length ? `Ended: ${ended.join(", ")}` : ""].filter(Boolean).join(". ");
}

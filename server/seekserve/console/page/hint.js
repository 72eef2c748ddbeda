// What a newcomer is told while nobody has asked the server anything: where to talk to it.

import { copying, h, say } from "./dom.js";
import { shell } from "./format.js";

const SPAN_S = 900;
const KEPT = "seekserve-hint-closed";

/** Shown while an engine is ready and nothing was asked; {node, update()}. */
export function hint(store) {
  const { state } = store;
  const line = curl(state);
  const title = h("h2");
  const shut = h("button", { type: "button", class: "quiet", on: { click: () => (localStorage.setItem(KEPT, "1"), (node.hidden = true)) } }, "Hide this");
  const node = h("section", { class: "panel stack hint", "aria-label": "First steps", hidden: true },
    h("div", { class: "row" }, title, h("span", { class: "push" }, shut)),
    h("p", {}, "Talk to the model in the ", h("a", { href: "#/playground" }, "playground"), ", or from a terminal:"),
    h("div", { class: "paste" }, h("pre", { tabindex: 0 }, line), copying("Copy", () => line)));
  return {
    node,
    update() {
      if (localStorage.getItem(KEPT)) return;
      const young = store.now() - state.started_at < SPAN_S;
      say(title, young ? "Nobody has asked anything yet" : "Nobody has asked anything for fifteen minutes");
      node.hidden = asked(store) || !store.engines.some((engine) => engine.state === "ready");
    },
  };
}

/** Whether anything was asked in the time that we know of. */
function asked(store) {
  return ["requests", "running", "waiting", "tokens_out"].some((name) => store.sum(name) > 0);
}

function curl({ api, door, models }) {
  const body = { model: models[0]?.id ?? "MODEL", messages: [{ role: "user", content: "What is 17+25?" }] };
  const key = door === "closed" ? ' \\\n  -H "Authorization: Bearer $SEEKSERVE_API_KEY"' : "";
  return `curl ${api}/v1/chat/completions${key} \\\n  -H 'Content-Type: application/json' \\\n  -d ${shell(JSON.stringify(body))}`;
}

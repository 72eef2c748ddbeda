// Playground.

import { fill, h } from "./dom.js";

function open(root) {
  fill(root, h("p", { class: "dim" }, "Playground"));
  return () => {};
}

export const view = { name: "playground", title: "Playground", open };

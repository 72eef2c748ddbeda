// Plan.

import { fill, h } from "./dom.js";

function open(root) {
  fill(root, h("p", { class: "dim" }, "Plan"));
  return () => {};
}

export const view = { name: "plan", title: "Plan", open };

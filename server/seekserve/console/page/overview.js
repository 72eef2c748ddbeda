// Overview.

import { fill, h } from "./dom.js";

function open(root) {
  fill(root, h("p", { class: "dim" }, "Overview"));
  return () => {};
}

export const view = { name: "overview", title: "Overview", open };

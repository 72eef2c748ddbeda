// Events.

import { fill, h } from "./dom.js";

function open(root) {
  fill(root, h("p", { class: "dim" }, "Events"));
  return () => {};
}

export const view = { name: "events", title: "Events", open };

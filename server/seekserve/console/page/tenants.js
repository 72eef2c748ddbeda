// Tenants.

import { fill, h } from "./dom.js";

function open(root) {
  fill(root, h("p", { class: "dim" }, "Tenants"));
  return () => {};
}

export const view = { name: "tenants", title: "Tenants", open };

// The form by which a person signs in where no link did.

import { button, h } from "./dom.js";

/** Asks for a pass or a key; `enter(text)` gets it. */
export function signing(enter) {
  const field = h("input", { type: "password", id: "pass", name: "pass", autocomplete: "off", spellcheck: "false", required: true });
  const submit = (event) => {
    event.preventDefault();
    dialog.close();
    enter(field.value);
  };
  const form = h("form", { class: "panel sign", on: { submit } },
    h("h2", {}, "Sign in"),
    h("p", { class: "dim" }, "Run ", h("code", {}, "seekserve console"), " where the server runs: the link that it prints signs you in. Or give a key of the scope ",
      h("code", {}, "operator"), ", made with ", h("code", {}, "seekserve keys add NAME --scope operator"), "."),
    h("label", { for: "pass" }, "Pass or key"), field,
    h("p", { class: "dim" }, "It is kept as long as this tab is open."),
    h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, "Sign in"), button("Cancel", () => dialog.close(), { class: "quiet" })));
  const dialog = h("dialog", { "aria-label": "Sign in", on: { close: () => dialog.remove() } }, form);
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
}

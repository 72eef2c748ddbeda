// A call as a program, in a dialog, to copy.

import { copying, button, h, say } from "./dom.js";
import { LANGUAGES } from "./calls.js";

/** Shows what asks the API for `body`. */
export function code(body) {
  const shownText = h("pre", { tabindex: 0, "aria-label": "Program" });
  const tabs = LANGUAGES.map(([name, written]) => h("button", { type: "button", class: "quiet", on: { click: () => turn(name, written) } }, name));
  const turn = (name, written) => {
    say(shownText, written(body, location.origin));
    tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab.textContent === name)));
  };
  const dialog = h("dialog", { class: "broad", "aria-label": "The call as a program", on: { close: () => dialog.remove() } },
    h("div", { class: "panel stack" }, h("div", { class: "row" }, tabs, h("span", { class: "acts" }, copying("Copy", () => shownText.textContent), button("Close", () => dialog.close(), { class: "quiet" }))),
      shownText, h("p", { class: "dim note" }, "The key is read from SEEKSERVE_API_KEY.")));
  turn(...LANGUAGES[0]);
  document.body.append(dialog);
  dialog.showModal();
}

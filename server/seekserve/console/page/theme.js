// Dark or light: as the system has it, or as the reader chose, which the browser keeps. A "theme" event
// on the window tells the plots, whose canvases know no style sheet.

import { h, say } from "./dom.js";

const KEPT = "seekserve-theme";
const THEMES = {
  auto: ["◐", "Theme: as the system"],
  dark: ["☾", "Theme: dark"],
  light: ["☀", "Theme: light"],
};

/** The button that goes round them. */
export function theme() {
  const names = Object.keys(THEMES);
  const system = matchMedia("(prefers-color-scheme: light)");
  let at = names.includes(localStorage.getItem(KEPT)) ? localStorage.getItem(KEPT) : "auto";
  const made = h("button", { type: "button", class: "quiet icon" });
  const set = () => {
    const [mark, words] = THEMES[at];
    document.documentElement.dataset.theme = at !== "auto" ? at : system.matches ? "light" : "dark";
    made.title = words;
    made.setAttribute("aria-label", words);
    say(made, mark);
    dispatchEvent(new Event("theme"));
  };
  made.addEventListener("click", () => {
    at = names[(names.indexOf(at) + 1) % names.length];
    localStorage.setItem(KEPT, at);
    set();
  });
  system.addEventListener("change", set);
  set();
  return made;
}

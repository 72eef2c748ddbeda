// The page: its head, which view is open, and who is signed in. Views are modules that export
// `view` = {name, title, open(root, ctx)}; `open` returns how to close. ctx is {store, api, may()}.

import * as api from "./api.js";
import { button, fill, h, say, trouble } from "./dom.js";
import { Store } from "./store.js";
import { view as events } from "./events.js";
import { view as overview } from "./overview.js";
import { view as plan } from "./plan.js";
import { view as playground } from "./playground.js";
import { view as tenants } from "./tenants.js";

const VIEWS = [overview, plan, playground, tenants, events];
const THEMES = { auto: "Theme: as the system", dark: "Theme: dark", light: "Theme: light" };
const LINES = { connecting: "connecting", live: "live", lost: "no connection, trying again", refused: "not signed in" };

api.takePass();
const store = new Store();
const ctx = { store, api, may: () => Boolean(store.state?.may_change) };
const main = document.getElementById("main");
let close = null;
let shown = null;

function head() {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const line = h("span", { class: "line", role: "status" });
  const what = h("span", { class: "what" });
  const tabs = VIEWS.map((view) => h("a", { href: `#/${view.name}`, class: "tab" }, view.title));
  const sign = h("button", { type: "button", class: "quiet", on: { click: () => signing() } });
  fill(document.getElementById("top"),
    h("div", { class: "brand" }, h("strong", {}, "seekserve"), what),
    h("nav", { "aria-label": "Views" }, tabs),
    h("div", { class: "right" }, h("span", { class: "status" }, dot, line), theme(), sign));
  return () => {
    const { state } = store;
    dot.dataset.line = store.line === "live" ? standing() : store.line;
    say(line, store.line === "live" ? standing() : LINES[store.line]);
    say(what, state ? [state.tier, `v${state.version}`].filter(Boolean).join(" · ") : "");
    say(sign, api.signedIn() ? "Sign out" : "Sign in");
    tabs.forEach((tab, place) => {
      if (VIEWS[place] === shown) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    });
    document.title = `${shown?.title ?? ""} · seekserve`;
  };
}

/** In one word, what whoever opens the page wants to know first. */
function standing() {
  const states = store.engines.map((engine) => engine.state);
  if (!states.length) return "connecting";
  if (states.includes("failed")) return "failed";
  if (states.every((one) => one === "ready")) return "ready";
  return states.includes("ready") ? "partly ready" : states[0];
}

function theme() {
  const kept = localStorage.getItem("seekserve-theme");
  let at = kept in THEMES ? kept : "auto";
  const made = h("button", { type: "button", class: "quiet icon" });
  const set = () => {
    document.documentElement.dataset.theme = at;
    made.title = THEMES[at];
    made.setAttribute("aria-label", THEMES[at]);
    say(made, { auto: "◐", dark: "☾", light: "☀" }[at]);
    dispatchEvent(new Event("theme"));
  };
  made.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    at = names[(names.indexOf(at) + 1) % names.length];
    localStorage.setItem("seekserve-theme", at);
    set();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("theme")));
  set();
  return made;
}

/** Out, or the form to get in by. */
function signing(error = null) {
  if (api.signedIn() && !error) {
    api.signIn("");
    store.follow();
    return;
  }
  const field = h("input", { type: "password", id: "pass", autocomplete: "off", spellcheck: "false", required: true });
  const form = h("form", {
    class: "panel sign", method: "dialog",
    on: {
      submit: (event) => {
        event.preventDefault();
        api.signIn(field.value);
        dialog.close();
        store.follow();
      },
    },
  },
  h("h2", {}, "Sign in"),
  h("p", { class: "dim" }, "Run ", h("code", {}, "seekserve console"), " where the server runs: the link that it prints signs you in. Or give a key of the scope ",
    h("code", {}, "operator"), ", made with ", h("code", {}, "seekserve keys add NAME --scope operator"), "."),
  error ? trouble(error) : null,
  h("label", { for: "pass" }, "Pass or key"), field,
  h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, "Sign in"), button("Cancel", () => dialog.close(), { class: "quiet" })));
  const dialog = h("dialog", { "aria-label": "Sign in", on: { close: () => dialog.remove() } }, form);
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
}

function route() {
  const name = location.hash.replace(/^#\//, "").split("?")[0];
  const wanted = VIEWS.find((view) => view.name === name) ?? overview;
  if (wanted === shown) return;
  close?.();
  close = null;
  shown = wanted;
  fill(main);
  refresh();
  if (store.state) close = wanted.open(main, ctx) ?? null;
  else fill(main, h("p", { class: "dim waiting" }, "Asking the server …"));
}

const refresh = head();
store.on((what) => {
  refresh();
  if (what === "state" && !close) reopen();
  if (what === "line" && store.line === "refused") {
    close?.();
    close = null;
    fill(main, h("section", { class: "panel" }, trouble(store.error), button("Sign in", () => signing(), { class: "main" })));
    if (api.signedIn()) signing(store.error);
  }
});

function reopen() {
  const again = shown;
  shown = null;
  if (!again) route();
  else {
    close?.();
    location.hash === `#/${again.name}` ? route() : history.replaceState(null, "", `#/${again.name}`) ?? route();
  }
}

addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
});
route();
store.follow();

// The page: its head, which view is open, and who is signed in. Views are modules that export
// `view` = {name, title, open(root, ctx)}; `open` returns how to close. ctx is {store, api, may()}.

import * as api from "./api.js";
import { button, fill, h, say, trouble } from "./dom.js";
import { clock } from "./format.js";
import { signing } from "./signing.js";
import { Store } from "./store.js";
import { theme } from "./theme.js";
import { view as events } from "./events.js";
import { view as overview } from "./overview.js";
import { view as plan } from "./plan.js";
import { view as playground } from "./playground.js";
import { view as tenants } from "./tenants.js";

const VIEWS = [overview, plan, playground, tenants, events];
const LINES = { connecting: "connecting", lost: "no connection", refused: "not signed in" };

api.takePass();
const store = new Store();
const ctx = { store, api, may: () => Boolean(store.state?.may_change) };
const main = document.getElementById("main");
let shown = null; // the view whose place it is
let close = null; // set while it is open

/** The head and the line below it that tells of a lost server. Returns how to write them anew. */
function head() {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const line = h("span", { class: "line", role: "status" });
  const what = h("span", { class: "what" });
  const lost = h("p", { id: "lost", role: "status", hidden: true });
  const title = h("h1", { class: "unseen" });
  const tabs = VIEWS.map((view) => h("a", { href: `#/${view.name}`, class: "tab" }, view.title));
  const sign = h("button", { type: "button", class: "quiet sign-in", on: { click: () => (api.signedIn() ? enter("") : signing(enter)) } });
  fill(document.getElementById("top"),
    h("div", { class: "brand" }, h("strong", {}, "seekserve"), what),
    h("nav", { "aria-label": "Views" }, tabs),
    h("div", { class: "right" }, h("span", { class: "status" }, dot, line), theme(), sign),
    title, lost);
  return () => {
    const { state } = store;
    const standing = store.line === "live" ? store.standing() : store.line;
    dot.dataset.line = standing;
    say(line, LINES[standing] ?? standing);
    say(what, state ? [state.tier, state.version].filter(Boolean).join(" · ") : "");
    say(sign, api.signedIn() ? "Sign out" : "Sign in");
    lost.hidden = store.line !== "lost";
    if (!lost.hidden) say(lost, `${reason()} ${store.times.length ? `The figures are those of ${clock(store.times.at(-1))}. ` : ""}Trying again …`);
    tabs.forEach((tab, place) => {
      if (VIEWS[place] === shown) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    });
    say(title, shown?.title ?? "");
    document.title = [shown?.title, "seekserve", state?.tier].filter(Boolean).join(" · ");
  };
}

/** Why the line is down: in the server's own words where it answered. */
function reason() {
  return store.error?.status ? store.error.message : "The server does not answer.";
}

/** Signs in with `text`, or out without one, and asks anew as whom that makes us. */
function enter(text) {
  api.signIn(text);
  follow();
}

function follow() {
  leave();
  store.follow();
  show();
}

function leave() {
  close?.();
  close = null;
}

/** Opens the view that the address names, or says why there is none to be seen. */
function show() {
  const name = location.hash.replace(/^#\//, "").split("?")[0];
  const wanted = VIEWS.find((view) => view.name === name) ?? overview;
  if (close && wanted === shown) return;
  leave();
  shown = wanted;
  fill(main);
  if (store.line === "refused") fill(main, refused());
  else if (store.state) close = wanted.open(main, ctx) ?? (() => {});
  else fill(main, h("p", { class: "dim waiting" }, "Asking the server …"));
  refresh();
}

function refused() {
  const stale = api.signedIn() ? button("Go on without signing in", () => enter(""), { class: "quiet" }) : null;
  return h("section", { class: "panel closed" }, h("h2", {}, "Sign in to see this server"), trouble(store.error),
    h("div", { class: "row" }, button("Sign in", () => signing(enter), { class: "main" }), stale));
}

const refresh = head();
store.on((what) => {
  refresh();
  if (what === "line" && store.line === "refused") {
    leave();
    show();
  } else if (what === "state" && !close) show();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view, and keeps naming it
  main.focus();
});
addEventListener("hashchange", () => {
  if (api.takePass()) follow();
  show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
show();
store.follow();

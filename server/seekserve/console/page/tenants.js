// Who may ask and what they use: keys, the shares of the classes, tokens and cost.

import { button, fill, h, say, trouble } from "./dom.js";
import { adding, changing, revoking, rotating, shownOnce, table } from "./keys.js";
import { share } from "./format.js";
import { usage } from "./usage.js";

const SETTLE_MS = 800; // a change is told of by an event of its own too: both are one reading

function open(root, ctx) {
  const { api, store } = ctx;
  const { state } = store;
  const list = h("div", {}, h("p", { class: "dim" }, "Asking the server …"));
  const add = button("New key", () => adding({ state: store.state, post: api.post, made, first: none }), { class: "main", disabled: !ctx.may() });
  const used = usage(ctx);
  const shares = state.classes.map(classShare);
  let closed = false;
  let none = false;
  let waits = 0;

  async function load() {
    try {
      const month = `${new Date(store.now() * 1000).toISOString().slice(0, 7)}-01`;
      const [{ keys }, spent] = await Promise.all([api.get("keys"), api.get(`usage?by=key&since=${month}`).catch(() => ({ rows: [] }))]);
      if (closed) return;
      none = !keys.length;
      const { currency } = store.state;
      const costs = new Map(spent.rows.filter((row) => row.currency === currency).map((row) => [row.name, row.cost]));
      fill(list, table(keys, { spent: (name) => costs.get(name) ?? 0, act, may: ctx.may(), currency }));
    } catch (error) {
      if (!closed) fill(list, trouble(error));
    }
  }

  function act(what, key) {
    ({ Edit: changing, Rotate: rotating, Revoke: revoking })[what](key, { state: store.state, post: api.post, made });
  }

  function made(told) {
    if (told?.key) shownOnce(told);
    load();
  }

  function soon() {
    clearTimeout(waits);
    waits = setTimeout(load, SETTLE_MS);
  }

  function refresh() {
    shares.forEach((one) => one.update(store.last(`share:${one.name}`)));
  }

  fill(root,
    h("section", { class: "panel stack", "aria-label": "Keys" },
      h("div", { class: "row" }, h("h2", {}, "Keys"), h("span", { class: "acts" }, add)),
      ctx.may() ? null : h("p", { class: "dim" }, api.signedIn() ? "This sign-in may look and not change: sign in with the link that " : "Looking only. To change keys sign in: by the link that ",
        h("code", {}, "seekserve console"), " prints, or with a key of the scope operator."),
      list),
    h("section", { class: "panel stack", "aria-label": "Shares" }, h("h2", {}, "Shares"),
      h("p", { class: "dim" }, "Of the requests that run now, beside what each class is promised when all of them ask (the mark). A share that nobody uses is lent to the others."),
      h("div", { class: "grid" }, shares.map((one) => one.node))),
    used.node);
  refresh();
  load();
  used.load();
  const quiet = store.on((what) => {
    if (what === "tick" || what === "history") refresh();
    if (what === "state" || (what === "event" && store.happened[0]?.kind === "keys")) soon();
    if (what === "state") add.disabled = !ctx.may();
  });
  return () => {
    closed = true;
    clearTimeout(waits);
    quiet();
  };
}

/** A class's share in use, with a mark at what it is promised. */
function classShare({ name, promised }) {
  const inner = h("i", {});
  const words = h("span", {});
  const track = h("div", { class: "share-track", role: "img" }, inner, h("b", { style: { left: `${promised * 100}%` } }));
  return {
    name,
    node: h("div", { class: "share" }, h("div", { class: "share-words" }, h("bdi", {}, name), words), track),
    update(now) {
      const said = `${now === null ? "none running" : share(now)} of ${share(promised)} promised`;
      inner.style.width = `${(now ?? 0) * 100}%`;
      say(words, said);
      track.setAttribute("aria-label", `${name}: ${said}`);
    },
  };
}

export const view = { name: "tenants", title: "Tenants", open };

// Keys: their table, and the dialogs that make, change, rotate and revoke them. A key's text is shown once.

import { button, copying, fill, h, say, trouble } from "./dom.js";
import { choice, labelled } from "./knobs.js";
import { moment, money, whole } from "./format.js";

const COLUMNS = ["Name", "State", "Scope", "Class", "Models", "Limits", "Spent this month", "Expires", "Begins with", ""];
const LIMITS = [
  ["requests_per_min", "Requests per minute", {}], ["tokens_per_min", "Tokens per minute", {}],
  ["concurrency", "Requests at once", {}], ["monthly_budget", "Budget per month", { step: "any", min: 0 }],
];
const COLOURS = { active: "good", expired: "warn", revoked: "dim" };

/** `keys` as the server tells them; `spent(name)` this month, or null; `act(what, key)`; `may` whether. */
export function table(keys, { spent, act, may, currency }) {
  if (!keys.length) return h("p", { class: "dim" }, "There are no keys yet. Without one, only this machine may ask.");
  const actions = (key) => h("div", { class: "acts" }, ["Edit", "Rotate", "Revoke"].map((what) => h("button", {
    type: "button", class: "quiet", disabled: !may || key.state !== "active", "aria-label": `${what} ${key.name}`, on: { click: () => act(what, key) },
  }, what)));
  const rows = keys.map((key) => {
    const cells = [
      h("bdi", { class: "name" }, key.name), h("span", { class: COLOURS[key.state] }, key.state), key.scope ?? "client", key.class ?? "default",
      key.models.length ? h("bdi", {}, key.models.join(", ")) : "all", limits(key), budget(spent(key.name), key.monthly_budget, currency),
      key.expires_at ? moment(Date.parse(key.expires_at) / 1000) : "never",
      [h("code", {}, key.begins_with), key.old_until && key.state === "active" ? h("div", { class: "dim note" }, `the old one until ${moment(Date.parse(key.old_until) / 1000)}`) : null], actions(key),
    ];
    return h("tr", { "data-state": key.state }, cells.map((cell, place) => h("td", { "data-name": COLUMNS[place] }, h("div", {}, cell))));
  });
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of keys" }, h("table", { class: "cards" },
    h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name || h("span", { class: "unseen" }, "Actions"))))), h("tbody", {}, rows)));
}

function limits(key) {
  const said = [
    key.requests_per_min && `${whole(key.requests_per_min)} requests/min`, key.tokens_per_min && `${whole(key.tokens_per_min)} tokens/min`,
    key.concurrency && `${whole(key.concurrency)} at once`,
  ].filter(Boolean);
  return said.length ? said.join(", ") : "none";
}

function budget(spent, most, currency) {
  return most === null || most === undefined ? money(spent, currency) : `${money(spent, currency)} of ${money(most, currency)}`;
}

/** A dialog: `make(close)` gives what is inside. */
export function dialog(title, make) {
  const node = h("dialog", { "aria-label": title, on: { close: () => node.remove() } });
  fill(node, h("div", { class: "panel stack form" }, h("h2", {}, title), make(() => node.close())));
  document.body.append(node);
  node.showModal();
  return node;
}

/** A form in a dialog: `send()` is tried, and what it raises is told in the form. */
function asking(title, words, parts, send, danger = false) {
  const wrong = h("div", {});
  const node = dialog(title, (close) => {
    const go = h("button", { type: "submit", class: danger ? "danger" : "main" }, words);
    return h("form", {
      class: "stack", on: {
        submit: async (event) => {
          event.preventDefault();
          go.disabled = true;
          fill(wrong);
          try {
            await send();
            close();
          } catch (error) {
            fill(wrong, trouble(error));
          } finally {
            go.disabled = false;
          }
        },
      },
    }, parts, wrong, h("div", { class: "row" }, go, button("Cancel", close, { class: "quiet" })));
  });
  return node;
}

/** What a key may have, as `key` has it: the form's parts, and `told()`, what they say now; null is no limit. */
function fields(state, key = {}) {
  const there = state.classes.map((one) => [one.name, one.name]);
  const gone = key.class && there.every(([name]) => name !== key.class) ? [[key.class, `${key.class}, which this tier does not have`]] : [];
  const kind = choice([["", `the default: ${state.default_class}`], ...there, ...gone]);
  const scope = choice([["client", "client: may use the API"], ["operator", "operator: may also change this Console's keys"]]);
  const models = [...new Set([...state.models.map((one) => one.id), ...key.models ?? []])].map((id) => [id, h("input", { type: "checkbox" })]);
  const numbers = LIMITS.map(([field, words, more]) => [field, words, h("input", { type: "number", min: 1, step: 1, placeholder: "no limit", value: key[field] ?? null, ...more })]);
  const last = key.expires_at ? new Date(Date.parse(key.expires_at) - 1).toISOString().slice(0, 10) : null; // midnight ends the day before
  const expires = h("input", { autocomplete: "off", placeholder: "never", value: last });
  kind.value = key.class ?? "";
  scope.value = key.scope ?? "client";
  for (const [id, field] of models) field.checked = Boolean(key.models?.includes(id));
  const parts = [
    labelled("Class", kind, "Which share of the engines it has when they are full."),
    labelled("Scope", scope),
    h("fieldset", {}, h("legend", {}, "Models"), h("span", { class: "dim note" }, "None ticked: all of them."), models.map(([id, field]) => h("label", { class: "check" }, field, h("bdi", {}, id)))),
    h("div", { class: "pair" }, numbers.map(([, words, field]) => labelled(words === "Budget per month" ? `${words}, ${state.currency}` : words, field))),
    labelled("Expires", expires, "After a time, such as 30d or 12w, or on a day, such as 2027-01-31."),
  ];
  const told = () => ({
    class: kind.value || null,
    scope: scope.value,
    models: models.filter(([, field]) => field.checked).map(([id]) => id),
    ...Object.fromEntries(numbers.map(([field, , input]) => [field, input.value ? Number(input.value) : null])),
    expires: expires.value.trim() || null,
  });
  return { parts, told };
}

/** Asks for a new key's fields. `made(told)` once it is there; `first` says that there was none before. */
export function adding({ state, post, made, first }) {
  const name = h("input", { required: true, maxlength: 64, autocomplete: "off", spellcheck: "false", placeholder: "team-search" });
  const { parts, told } = fields(state);
  asking("New key", "Make the key", [
    first && state.door === "local" ? h("p", { class: "warn" }, "This is the first key: from then on the API refuses everybody who sends none.") : null,
    labelled("Name", name, "Letters, digits and . _ @ + -; usage is booked under it, so it stays taken."),
    parts,
  ], async () => {
    const asked = Object.entries({ name: name.value.trim(), ...told() }).filter(([, value]) => value !== null);
    made(await post("keys", Object.fromEntries(asked)));
  });
}

/** Only what was changed is sent: the rest may have been changed by somebody else meanwhile. */
export function changing(key, { state, post, made }) {
  const { parts, told } = fields(state, key);
  const before = told();
  asking(`Change ${key.name}`, "Change it", parts, async () => {
    const asked = Object.entries(told()).filter(([field, value]) => String(value) !== String(before[field]));
    if (asked.length) await post(`keys/${encodeURIComponent(key.name)}/change`, Object.fromEntries(asked));
    made(null);
  });
}

export function rotating(key, { post, made }) {
  const grace = choice([["1h", "1 hour"], ["24h", "1 day"], ["7d", "7 days"], ["0s", "not at all"]]);
  asking(`Rotate ${key.name}`, "Make a new one", [labelled("The old one still works for", grace, "Time for its users to change over.")],
    async () => made(await post(`keys/${encodeURIComponent(key.name)}/rotate`, { grace: grace.value })));
}

export function revoking(key, { post, made }) {
  const name = h("input", { autocomplete: "off", spellcheck: "false", required: true });
  asking(`Revoke ${key.name}`, "Revoke it for good", [
    h("p", {}, "Whoever uses it is refused from now on. This cannot be undone."),
    labelled(`Type its name, ${key.name}`, name),
  ], async () => {
    if (name.value.trim() !== key.name) throw new Error("That is another name.");
    await post(`keys/${encodeURIComponent(key.name)}/revoke`);
    made(null);
  }, true);
}

/** The one time that a key's text is seen: Esc alone does not lose it before it was copied. */
export function shownOnce(told) {
  const text = h("pre", { class: "secret", tabindex: 0, "aria-label": "The key" }, told.key);
  let safe = false;
  const stay = (event) => !safe && (event.type === "cancel" || event.key === "Escape") && event.preventDefault();
  const node = dialog(`The key of ${told.name}`, (close) => [
    h("p", { class: "warn" }, "This is shown once. Copy it now: only its digest is kept, and nobody can show it again."),
    text,
    h("div", { class: "row" }, copying("Copy", () => told.key, { class: "main" }, () => {
      safe = true;
    }), button("I have it", close)),
  ]);
  node.addEventListener("cancel", stay);
  document.addEventListener("keydown", stay); // Chromium lets a dialog refuse to be cancelled only now and then
  node.addEventListener("close", () => {
    document.removeEventListener("keydown", stay);
    say(text, "");
  });
}

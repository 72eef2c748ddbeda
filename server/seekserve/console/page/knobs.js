// How the playground asks: the fields beside the conversation, and the request that they come to.

import { button, fill, h, say } from "./dom.js";

const TOOLS = [
  ["get_weather", "Get the weather for a city.", { city: { type: "string" } }],
  ["add", "Add two numbers.", { a: { type: "integer" }, b: { type: "integer" } }],
].map(([name, description, properties]) => ({
  type: "function", function: { name, description, parameters: { type: "object", properties, required: Object.keys(properties) } },
}));

const SCHEMA = { name: "person", schema: { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"], additionalProperties: false } };

const NUMBERS = [
  ["temperature", "Temperature", { min: 0, max: 2, step: 0.05 }],
  ["top_p", "Top p", { min: 0, max: 1, step: 0.05 }],
  ["max_tokens", "Most tokens", { min: 1, step: 1 }],
  ["seed", "Seed", { step: 1 }],
  ["frequency_penalty", "Frequency penalty", { min: -2, max: 2, step: 0.1 }],
  ["presence_penalty", "Presence penalty", { min: -2, max: 2, step: 0.1 }],
];

/** An answer to try, for a call of one of the example's tools. */
export function example(call) {
  try {
    const given = JSON.parse(call.arguments);
    if (call.name === "get_weather") return '{"temperature": 21, "condition": "sunny"}';
    if (call.name === "add") return JSON.stringify({ result: given.a + given.b });
  } catch {
    // it is the reader's to answer
  }
  return "";
}

/** What a field holds is wrong: `node` is the field. */
class Unfit extends Error {
  constructor(message, node) {
    super(message);
    this.node = node;
  }
}

/** Returns {node, model (a select), models(list), asked() -> {system, fields}, wrong: Unfit, set(changes)}. */
export function knobs() {
  const model = choice([]);
  const system = h("textarea", { rows: 2, placeholder: "None" });
  const thinks = choice([["", "default"], ["enabled", "on"], ["disabled", "off"]]);
  const effort = choice([["", "default"], ["low", "low"], ["high", "high"], ["max", "max"]]);
  const numbers = NUMBERS.map(([name, words, range]) => [name, h("input", { type: "number", inputmode: "decimal", placeholder: "default", ...range }), words]);
  const stops = h("textarea", { rows: 1, placeholder: "None", class: "mono" });
  const form = choice([["", "text"], ["json_object", "JSON object"], ["json_schema", "JSON by a schema"]]);
  const schema = json("Schema", SCHEMA);
  const tools = json("Functions", TOOLS);
  const has = h("input", { type: "checkbox" });
  const uses = choice([["", "as it likes"], ["required", "must"], ["none", "must not"]]);

  const toolbox = h("div", { class: "stack" }, tools.node, labelled("Calls one", uses));
  const unfold = () => {
    schema.node.hidden = form.value !== "json_schema";
    toolbox.hidden = !has.checked;
  };
  form.addEventListener("change", unfold);
  has.addEventListener("change", unfold);

  const node = h("form", { class: "stack", on: { submit: (event) => event.preventDefault() } },
    labelled("System prompt", system),
    h("div", { class: "pair" }, labelled("Thinking", thinks), labelled("Effort", effort)),
    labelled("Answer as", form), schema.node,
    h("label", { class: "check" }, has, "Tools"), toolbox,
    h("fieldset", {}, h("legend", {}, "Sampling"),
      h("div", { class: "pair" }, numbers.map(([, field, words]) => labelled(words, field))),
      labelled("Stop at, one a line", stops)),
    h("div", {}, button("Reset", () => {
      const { value } = model;
      node.reset();
      tools.set(TOOLS);
      schema.set(SCHEMA);
      model.value = value;
      unfold();
    }, { class: "quiet" })));
  unfold();

  /** Fields left alone are left out: the server's defaults hold. Raises Unfit. */
  function asked() {
    const fields = { model: model.value };
    for (const [name, field, words] of numbers) {
      if (!field.validity.valid) throw new Unfit(`${words}: ${field.validationMessage}`, field);
      if (field.value !== "") fields[name] = Number(field.value);
    }
    const ends = stops.value.split("\n").filter(Boolean);
    if (ends.length) fields.stop = ends;
    if (thinks.value) fields.thinking = { type: thinks.value };
    if (effort.value && thinks.value !== "disabled") fields.reasoning_effort = effort.value;
    if (form.value === "json_object") fields.response_format = { type: form.value };
    if (form.value === "json_schema") fields.response_format = { type: form.value, json_schema: schema.read() };
    if (has.checked) {
      fields.tools = tools.read(true);
      if (uses.value) fields.tool_choice = uses.value;
    }
    return { system: system.value, fields };
  }

  return {
    node, model, asked, Unfit,
    /** The models there are now; the one chosen stays so while it is there. */
    models(list) {
      const names = list.flatMap((one) => [one.id, ...(one.aliases ?? [])]);
      if (names.join("\n") === [...model.options].map((one) => one.value).join("\n")) return;
      const { value } = model;
      fill(model, names.map((name) => h("option", { value: name }, name)));
      if (names.includes(value)) model.value = value;
    },
    set({ tools: on, form: kind = "" }) {
      has.checked = Boolean(on);
      form.value = kind;
      unfold();
    },
  };
}

export function labelled(words, field, note = null) {
  return h("label", { class: "field" }, h("span", {}, words), field, note ? h("span", { class: "note" }, note) : null);
}

export function choice(options) {
  return h("select", {}, options.map(([value, words]) => h("option", { value }, words)));
}

/** A field for JSON, which says at once where it is none. */
function json(words, first) {
  const wrong = h("span", { class: "bad note", role: "status" });
  const field = h("textarea", { class: "mono", rows: 9, spellcheck: "false", autocapitalize: "off" });
  const node = h("div", { class: "stack" }, labelled(words, field), wrong);
  const set = (value) => {
    field.value = JSON.stringify(value, null, 2);
    look();
  };
  const look = () => {
    try {
      JSON.parse(field.value);
      say(wrong, "");
      field.removeAttribute("aria-invalid");
    } catch (error) {
      say(wrong, error.message);
      field.setAttribute("aria-invalid", "true");
    }
  };
  field.addEventListener("input", look);
  set(first);
  return {
    node, set,
    read(list = false) {
      let value;
      try {
        value = JSON.parse(field.value);
      } catch (error) {
        throw new Unfit(`${words}: ${error.message}`, field);
      }
      if (list && !Array.isArray(value)) throw new Unfit(`${words}: this must be a list, [ … ].`, field);
      return value;
    },
  };
}

// A call to the API as a program: for curl, Python and Node. Pure: a request's body in, a text out.
// The key is always the variable SEEKSERVE_API_KEY, whatever this page signs in with.

const KEY = "SEEKSERVE_API_KEY";

// Fields of the OpenAI SDK for Python; it takes the others only under `extra_body`.
const KNOWN = new Set(`model messages stream stream_options temperature top_p max_tokens seed stop tools tool_choice
  response_format presence_penalty frequency_penalty reasoning_effort`.split(/\s+/));

// Told as \u escapes, which JSON, Python and JavaScript share: what a terminal would act upon when it is
// pasted, and what would make a reader see another order of the text than a program does.
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

const escaped = (text, which) => text.replace(which, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
const literal = (text) => escaped(JSON.stringify(text), UNSEEN);

/** How each program is called, and how it is written for a body and where the API is. */
export const LANGUAGES = [["curl", curl], ["Python", python], ["Node", node]];

/** The body goes in by a quoted here-document, where a shell reads nothing into it; each line of it
 * begins with a space or a bracket, so that none ends it. Some shells look for `!` even there. */
function curl(body, base) {
  const json = escaped(escaped(JSON.stringify(body, null, 2), UNSEEN), /!/g);
  return `curl -sN ${word(`${base}/v1/chat/completions`)} \\
  -H "Authorization: Bearer $${KEY}" \\
  -H "Content-Type: application/json" \\
  --data-binary @- <<'JSON'
${json}
JSON
`;
}

/** One word of a shell. */
const word = (text) => (/^[\w:/.@%+~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function python(body, base) {
  const own = Object.entries(body).filter(([name]) => KNOWN.has(name));
  const extra = Object.fromEntries(Object.entries(body).filter(([name]) => !KNOWN.has(name)));
  if (Object.keys(extra).length) own.push(["extra_body", extra]);
  return `import os

from openai import OpenAI  # pip install openai

client = OpenAI(base_url=${literal(`${base}/v1`)}, api_key=os.environ.get("${KEY}", "none"))
stream = client.chat.completions.create(
${own.map(([name, value]) => `    ${name}=${pythonic(value, 4)},\n`).join("")})
for chunk in stream:
    for choice in chunk.choices:
        if choice.delta.tool_calls:
            print(choice.delta.tool_calls)
        print(choice.delta.content or "", end="", flush=True)
print()
`;
}

/** A value of JSON as Python writes it. JSON's strings are strings of Python's, escapes and all. */
function pythonic(value, depth) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return literal(value);
  if (typeof value !== "object") return String(value);
  const rows = Array.isArray(value)
    ? value.map((one) => pythonic(one, depth + 4))
    : Object.entries(value).map(([name, one]) => `${literal(name)}: ${pythonic(one, depth + 4)}`);
  return laid(rows, Array.isArray(value) ? "[]" : "{}", depth, 4);
}

function node(body, base) {
  const rows = Object.entries(body).map(([name, value]) => `${name}: ${scripted(value, 2)}`);
  return `import OpenAI from "openai"; // npm install openai; keep this as a .mjs file

const client = new OpenAI({ baseURL: ${literal(`${base}/v1`)}, apiKey: process.env.${KEY} ?? "none" });
const stream = await client.chat.completions.create(${laid(rows, "{}", 0, 2)});
for await (const chunk of stream) {
  for (const { delta } of chunk.choices) {
    if (delta.tool_calls) console.log(JSON.stringify(delta.tool_calls));
    process.stdout.write(delta.content ?? "");
  }
}
console.log();
`;
}

function scripted(value, depth) {
  if (value === null || typeof value !== "object") return typeof value === "string" ? literal(value) : String(value);
  if (Array.isArray(value)) return laid(value.map((one) => scripted(one, depth + 2)), "[]", depth, 2);
  return laid(Object.entries(value).map(([name, one]) => `${named(name)}: ${scripted(one, depth + 2)}`), "{}", depth, 2);
}

/** A name bare where it may be; `__proto__` in brackets, else it would be no member. */
const named = (name) => (name === "__proto__" ? `["__proto__"]` : /^[A-Za-z_]\w*$/.test(name) ? name : literal(name));

/** On one line where that is short, else a line for each. */
function laid(rows, [open, shut], depth, step) {
  const flat = `${open}${rows.join(", ")}${shut}`;
  if (!rows.length || (flat.length < 76 && !flat.includes("\n"))) return flat;
  const room = " ".repeat(depth + step);
  return `${open}\n${rows.map((row) => `${room}${row},\n`).join("")}${" ".repeat(depth)}${shut}`;
}

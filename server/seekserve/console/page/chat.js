// One call of the chat API and what comes of it. Nothing is kept: an answer is the caller's own object.

import { events, Refused, refusal } from "./api.js";

/** A fresh answer: `state` goes waiting -> thinking -> answering -> done | stopped | failed. Times in ms. */
export function answer(body) {
  return {
    role: "assistant", content: "", reasoning: "", calls: [], body, state: "waiting", began: performance.now(), first: null,
    thought: null, last: null, kept: 0, finish: null, usage: null, error: null, sent: false,
  };
}

/** Asks, and fills `told` as the stream comes; `grew()` after each event. Never raises: what went wrong
 * is `told.error`. */
export async function ask(told, key, signal, grew) {
  try {
    const reply = await fetch("/v1/chat/completions", {
      method: "POST", body: JSON.stringify(told.body), signal, cache: "no-store", credentials: "omit",
      headers: { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) },
    });
    if (!reply.ok) throw await refused(reply);
    const kept = () => {
      told.kept = performance.now(); // a comment: the server waits, and so may we
    };
    for await (const { data } of events(reply.body, kept)) {
      if (data === "[DONE]") {
        told.state = "done";
        break;
      }
      heard(told, JSON.parse(data));
      grew();
    }
    if (told.state !== "done") throw new Refused(0, "The stream ended before its end was told.", "What came is a part of the answer. Ask again for the rest.");
  } catch (error) {
    told.state = signal.aborted ? "stopped" : "failed";
    told.error = signal.aborted ? null : plain(error);
  }
  told.thought ??= told.reasoning ? (told.last ?? performance.now()) : null;
  grew();
}

/** A refusal in the server's own words, and when to come back. */
async function refused(reply) {
  const error = await refusal(reply);
  const after = Number(reply.headers.get("retry-after"));
  if (after > 0 && !/\b\d+ s\b/.test(error.message)) error.todo = [error.todo, `Try again in ${after} s.`].filter(Boolean).join(" ");
  return error;
}

function plain(error) {
  if (error instanceof Refused) return error;
  if (error instanceof SyntaxError) return new Refused(0, "The stream holds what is no JSON.", "Is this address the server's own?");
  return new Refused(0, "The connection was lost.", "Ask again; if that fails too, look where the server was started.");
}

/** One event of a stream. Other servers say `reasoning` where DeepSeek says `reasoning_content`. */
function heard(told, event) {
  if (event?.error) throw new Refused(0, event.error.message || String(event.error), event.error.todo);
  if (event?.usage) told.usage = event.usage;
  for (const choice of event?.choices ?? []) {
    const delta = choice?.delta ?? {};
    const thinks = delta.reasoning_content ?? delta.reasoning ?? "";
    const says = delta.content ?? "";
    if (choice?.finish_reason) told.finish = choice.finish_reason;
    if (!thinks && !says && !delta.tool_calls?.length) continue;
    told.last = performance.now();
    told.first ??= told.last;
    told.reasoning += thinks;
    if (says || delta.tool_calls?.length) {
      if (told.reasoning) told.thought ??= told.last;
      told.state = "answering";
    } else told.state = "thinking";
    told.content += says;
    for (const part of delta.tool_calls ?? []) called(told.calls, part);
  }
}

/** A call of a tool comes in pieces: its name first, then its arguments bit by bit. */
function called(calls, { index = 0, id, function: told = {} }) {
  let call = calls.find((one) => one.index === index);
  if (!call) calls.push((call = { index, id: "", name: "", arguments: "", answer: "" }));
  call.id ||= id ?? "";
  call.name ||= told.name ?? "";
  call.arguments += told.arguments ?? "";
}

/** The messages that turns come to. Where there are tools the model is given its own reasoning back,
 * as DeepSeek wants it; else that is left out, which costs fewer tokens. */
export function messages(system, turns, tools) {
  const said = system ? [{ role: "system", content: system }] : [];
  for (const turn of turns) {
    if (turn.role !== "assistant") {
      said.push({ role: turn.role, content: turn.content });
      continue;
    }
    if (!turn.content && !turn.calls.length) continue; // it was refused, or stopped before it began
    const one = { role: "assistant", content: turn.content };
    if (tools && turn.reasoning) one.reasoning_content = turn.reasoning;
    if (turn.calls.length) one.tool_calls = turn.calls.map((call) => ({ id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }));
    said.push(one, ...turn.calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: call.answer })));
  }
  return said;
}

/** Tokens per second once the first had come; null where nobody counted, or all came at once. */
export function speed({ first, last, usage }) {
  const spent = (last - first) / 1000;
  return first === null || !usage?.completion_tokens || spent < 0.02 ? null : (usage.completion_tokens - 1) / spent;
}

export const cached = (usage) => usage?.prompt_cache_hit_tokens ?? usage?.prompt_tokens_details?.cached_tokens ?? null;

/** Whether a call's arguments came whole. */
export function whole(text) {
  try {
    return Boolean(JSON.parse(text));
  } catch {
    return false;
  }
}

// A turn of a conversation as it is shown. One that streams is added to and never made anew: what a
// reader has marked, unfolded or scrolled to stays as it is.

import { button, fill, h, say, trouble } from "./dom.js";
import { cached, speed } from "./chat.js";
import { Prose, prose } from "./prose.js";
import { seconds, whole } from "./format.js";

const WHO = { user: "You", assistant: "Answer" };
const ENDS = {
  length: "cut off: max_tokens or the context is used up", tool_calls: "calls tools", content_filter: "filtered",
  aborted: "aborted", insufficient_system_resource: "the server ran out of room",
};

/** Shows `turn`. `acts`: {edit(turn, text, again), drop(turn), again(turn), code(turn), send(turn)}.
 * Returns {node, update()}; `update` adds what has come since. */
export function shown(turn, acts) {
  return turn.role === "assistant" ? answered(turn, acts) : asked(turn, acts);
}

function head(who, ...acts) {
  return h("header", { class: "turn-head" }, h("h3", {}, who), h("div", { class: "acts" }, acts));
}

function asked(turn, acts) {
  const body = h("div", { class: "said" });
  const node = h("article", { class: "turn", "data-role": turn.role },
    head(WHO[turn.role],
      button("Edit", () => editing(body, turn, acts, true), { class: "quiet" }),
      button("Delete", () => acts.drop(turn), { class: "quiet" })),
    body);
  prose(body, turn.content);
  return { node, update() {} };
}

function answered(turn, acts) {
  const body = h("div", { class: "said" });
  const calls = h("div", { class: "stack" });
  const wrong = h("div", {});
  const foot = h("p", { class: "foot dim" });
  const wait = h("p", { class: "wait dim" });
  const thoughts = folded();
  const text = new Prose(body, true);
  let put = 0;
  let over = false;
  const node = h("article", { class: "turn", "data-role": "assistant" },
    head(WHO.assistant,
      button("Again", () => acts.again(turn), { class: "quiet", title: "Ask once more; this and what follows is dropped" }),
      button("Edit", () => editing(body, turn, acts, false), { class: "quiet" }),
      button("Code", () => acts.code(turn), { class: "quiet", title: "This call for curl, Python or Node" }),
      button("Delete", () => acts.drop(turn), { class: "quiet" })),
    thoughts.node, body, calls, wrong, wait, foot);
  const shownCalls = [];

  function update() {
    thoughts.update(turn);
    if (turn.content.length > put) text.add(turn.content.slice(put));
    put = turn.content.length;
    turn.calls.forEach((call, place) => {
      if (!shownCalls[place]) calls.append((shownCalls[place] = toolCall(call)).node);
      shownCalls[place].update(ended(turn));
    });
    waited();
    say(foot, figures(turn));
    if (over || !ended(turn)) return;
    over = true;
    text.end();
    if (turn.calls.length && turn.state === "done") calls.append(h("div", {}, button("Send the answers", () => acts.send(turn), { class: "main" })));
    fill(wrong, turn.error ? trouble(turn.error) : turn.state === "stopped" ? h("p", { class: "dim" }, "Stopped by you.") : null);
    if (turn.state === "done" && !turn.content && !turn.calls.length) fill(wrong, h("p", { class: "dim" }, "The model answered nothing."));
  }
  /** How long nothing has come, and whether the server has said meanwhile that it is still at it. */
  function waited() {
    const since = turn.last ?? turn.began;
    const spent = Math.floor((performance.now() - since) / 1000);
    wait.hidden = ended(turn) || (turn.last !== null && spent < 3);
    if (!wait.hidden) say(wait, `${turn.last === null ? "Waiting" : "Nothing new for"} ${spent} s${turn.kept > since ? " · the server holds the line open" : ""}`);
  }

  update();
  return { node, update };
}

export const ended = (turn) => ["done", "stopped", "failed"].includes(turn.state);

/** What the model thinks, folded, under how long that takes. */
function folded() {
  const words = h("summary", {});
  const body = h("div", { class: "thought" });
  const node = h("details", { class: "thinking", hidden: true }, words, body);
  const text = new Prose(body, true);
  let put = 0;
  return {
    node,
    update(turn) {
      if (!turn.reasoning) return;
      node.hidden = false;
      text.add(turn.reasoning.slice(put));
      put = turn.reasoning.length;
      if (turn.thought !== null) text.end();
      const spent = (turn.thought ?? performance.now()) - turn.first;
      const time = turn.thought !== null && spent < 100 ? `${Math.max(1, Math.round(spent))} ms` : `${(spent / 1000).toFixed(1)} s`;
      say(words, turn.thought === null ? `Thinking … ${time}` : `Thought for ${time}`);
    },
  };
}

function toolCall(call) {
  const given = h("pre", { tabindex: 0, "aria-label": "Arguments" });
  const name = h("bdi", { class: "mono" });
  const answer = h("textarea", {
    rows: 2, class: "mono", value: call.answer, placeholder: "What the tool answers, such as {\"temperature\": 21}",
    on: { input: () => { call.answer = answer.value; } },
  });
  const node = h("section", { class: "call" }, h("p", {}, "calls ", name), given, h("label", {}, "Answer ", answer));
  let put = 0;
  let over = false;
  return {
    node,
    update(isOver) {
      say(name, call.name);
      if (call.arguments.length > put) given.append(call.arguments.slice(put));
      put = call.arguments.length;
      if (over || !isOver) return;
      over = true;
      if (!answer.value) answer.value = call.answer;
      try {
        say(given, JSON.stringify(JSON.parse(call.arguments), null, 2));
      } catch {
        // what is no JSON is shown as it came
      }
    },
  };
}

/** What is known of an answer, in one line. */
function figures(turn) {
  const { usage, first, began, finish } = turn;
  const said = [];
  if (first !== null) said.push(`first token ${seconds((first - began) / 1000)}`);
  const rate = ended(turn) ? speed(turn) : null;
  if (rate !== null) said.push(`${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`);
  if (usage) {
    const hit = cached(usage);
    const thought = usage.completion_tokens_details?.reasoning_tokens;
    said.push(`${whole(usage.prompt_tokens)} in${hit === null ? "" : ` (${whole(hit)} from the cache)`}`);
    said.push(`${whole(usage.completion_tokens)} out${thought ? ` (${whole(thought)} thinking)` : ""}`);
  }
  if (finish) said.push(ENDS[finish] ?? `finish: ${finish}`);
  return said.join(" · ");
}

/** The text in a field, in place of what is shown. */
function editing(body, turn, acts, asks) {
  const field = h("textarea", { class: "wide", rows: Math.min(12, turn.content.split("\n").length + 1), value: turn.content, "aria-label": "Text of the turn" });
  const back = () => prose(body, turn.content, !asks);
  fill(body, field, h("div", { class: "row" },
    asks ? button("Send again", () => acts.edit(turn, field.value, true), { class: "main", title: "What follows is dropped" }) : null,
    button("Save", () => {
      acts.edit(turn, field.value, false);
      back();
    }),
    button("Cancel", back, { class: "quiet" })));
  field.addEventListener("keydown", (event) => event.key === "Escape" && back());
  field.focus();
}

// Talking to the models, over the same API and by the same keys as any client. A conversation lives in
// this page's memory alone, and there until the page is closed or somebody else signs in.

import { button, fill, h, say, trouble } from "./dom.js";
import { code } from "./code.js";
import { answer, ask, messages, whole } from "./chat.js";
import { example, knobs } from "./knobs.js";
import { shown } from "./turns.js";

const TRIES = [
  ["17 + 25", "What is 17 + 25?", {}],
  ["A tool", "What is the weather in Paris?", { tools: true }],
  ["JSON", "Give me a JSON object with the name and the age of Anna, who is 31.", { form: "json_object" }],
];

/** Not where focus brings a keyboard up over the page. */
const hovers = () => matchMedia("(hover: hover)").matches;

let desk = null;

function open(root, ctx) {
  const by = JSON.stringify(ctx.api.headers());
  if (desk?.by !== by) {
    desk?.close();
    desk = made(ctx, by);
  }
  fill(root, desk.node);
  return desk.opened();
}

function made(ctx, by) {
  const { store } = ctx;
  const turns = []; // {turn, view}
  const settings = knobs();
  let running = null; // {turn, view, end: AbortController}
  let stuck = true; // to the end of the conversation
  let frame = 0;
  let clock = 0;

  const key = h("input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "sk-seek-…", "aria-label": "API key" });
  const keyed = h("div", { class: "row key-row" }, h("label", {}, "API key ", key), h("span", { class: "dim note" }, "Kept in this tab's memory alone."));
  const list = h("div", { class: "turns", tabindex: 0, role: "region", "aria-label": "Conversation" });
  const box = h("textarea", { rows: 2, "aria-label": "Message", placeholder: "Message: Enter sends, Shift+Enter is a new line" });
  const told = h("span", { class: "unseen", role: "status" });
  const wrong = h("div", {});
  const go = h("button", { type: "button", class: "main go", on: { click: () => (running ? stop() : send()) } }, "Send");
  const more = h("button", { type: "button", class: "quiet more", "aria-expanded": "false", on: { click: () => unfold(node.dataset.open === undefined) } }, "Settings");
  const side = h("aside", { class: "panel knobs", "aria-label": "Settings" }, settings.node);
  const talk = h("section", { class: "panel talk", "aria-label": "Chat" },
    h("div", { class: "row talk-head" }, h("label", {}, "Model ", settings.model), more,
      h("span", { class: "acts" }, button("Code", () => coded(), { class: "quiet", title: "The call that Send would make, for curl, Python or Node" }),
        button("Clear", clear, { class: "quiet" }))),
    keyed, list, wrong, h("div", { class: "composer" }, box, go), told);
  const elsewhere = h("div", { class: "panel" });
  const node = h("div", { class: "desk" }, talk, side, elsewhere);

  function unfold(on) {
    if (on) node.dataset.open = "";
    else delete node.dataset.open;
    more.setAttribute("aria-expanded", String(on));
    say(more, on ? "Chat" : "Settings");
  }

  /** The key to ask with: an operator's own is one for the API too; the pass of the console is none. */
  const secret = () => {
    const [, own] = /^Bearer (sk-seek-.+)$/.exec(ctx.api.headers().Authorization ?? "") ?? [];
    return key.value.trim() || own || "";
  };

  function known() {
    const { state } = store;
    if (!state) return;
    const here = state.side !== "ops";
    talk.hidden = side.hidden = !here;
    elsewhere.hidden = here;
    if (!here) fill(elsewhere, h("h2", {}, "Chats are on the API's own port"), h("p", {}, "Open the console there: ",
      /^https?:\/\//.test(state.api) ? h("a", { href: `${state.api}/console#/playground` }, `${state.api}/console`) : "on the address that clients use", "."));
    keyed.hidden = !(state.door === "closed" && (!secret() || key.value || refused()));
    settings.models(state.models);
  }

  const refused = () => turns.at(-1)?.turn.error?.status === 401;

  function body(extra = null) {
    const { system, fields } = settings.asked();
    const said = [...turns.map((one) => one.turn), ...(extra ? [{ role: "user", content: extra }] : [])];
    const { model, ...rest } = fields;
    return { model, messages: messages(system, said, fields.tools), stream: true, stream_options: { include_usage: true }, ...rest };
  }

  /** What `make` returns, or null once its trouble has been told. */
  function checked(make) {
    fill(wrong);
    try {
      return make();
    } catch (error) {
      if (!(error instanceof settings.Unfit)) throw error;
      unfold(true);
      fill(wrong, trouble(error));
      error.node.focus();
      return null;
    }
  }

  function put(turn) {
    if (!turns.length) fill(list);
    const view = shown(turn, acts);
    turns.push({ turn, view });
    list.append(view.node);
    return view;
  }

  function send(text = box.value) {
    if (running || !text.trim() || !checked(() => settings.asked())) return;
    put({ role: "user", content: text });
    box.value = "";
    begin();
  }

  async function begin() {
    const asked = checked(body);
    if (!asked || running) return;
    const turn = answer(asked);
    running = { turn, view: put(turn), end: new AbortController() };
    stuck = true;
    busy(true);
    clock = setInterval(grown, 200);
    await ask(turn, secret(), running.end.signal, grown);
    finished(turn);
  }

  function finished(turn) {
    clearInterval(clock);
    if (turn.state !== "done") turn.calls = turn.calls.filter((call) => whole(call.arguments));
    turn.calls.forEach((call) => { call.answer ||= example(call); });
    draw();
    running = null;
    busy(false);
    say(told, turn.state === "done" ? "The answer is there." : turn.error?.message ?? "Stopped.");
    known();
    if (refused()) key.focus();
  }

  /** At most once a frame, however many pieces come; a page that is not looked at waits. */
  function grown() {
    frame ||= requestAnimationFrame(draw);
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    running?.view.update();
    if (stuck) list.scrollTop = list.scrollHeight;
  }

  function busy(is) {
    list.toggleAttribute("data-busy", is);
    say(go, is ? "Stop" : "Send");
    go.title = is ? "Esc" : "Enter";
    if (is) say(told, "The model answers.");
    if (document.activeElement === document.body && hovers()) box.focus({ preventScroll: true }); // what was pressed is gone
  }

  function stop() {
    running?.end.abort();
  }

  function clear() {
    stop();
    drop(0);
    box.focus();
  }

  function drop(from, count = turns.length) {
    for (const { view } of turns.splice(from, count)) view.node.remove();
    if (!turns.length) welcome();
  }

  const place = (turn) => turns.findIndex((one) => one.turn === turn);
  const acts = {
    drop: (turn) => drop(place(turn), 1),
    again: (turn) => redo(place(turn)),
    code: (turn) => code(turn.body),
    send(turn) {
      redo(place(turn) + 1);
    },
    edit(turn, text, again) {
      turn.content = text;
      if (again) redo(place(turn) + 1);
    },
  };

  function redo(from) {
    if (running || !checked(() => settings.asked())) return;
    drop(from);
    begin();
  }

  function coded() {
    const text = box.value.trim();
    const made = checked(() => body(text || null));
    if (made) code(made);
  }

  function welcome() {
    fill(list, h("div", { class: "welcome dim" }, h("p", {}, "Nothing that is said here is kept, on the server or in the browser."),
      h("div", { class: "row" }, "Try: ", TRIES.map(([words, text, set]) => button(words, () => {
        settings.set(set);
        send(text);
      })))));
  }

  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  list.addEventListener("scroll", () => {
    stuck = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  }, { passive: true });
  key.addEventListener("change", known);
  welcome();

  const escape = (event) => event.key === "Escape" && !document.querySelector("dialog[open]") && stop();
  const fit = () => node.style.setProperty("--above", `${node.getBoundingClientRect().top + scrollY}px`);
  return {
    node, by,
    close: stop,
    /** A chat that streams goes on while another view is looked at. */
    opened() {
      const quiet = store.on((what) => what === "state" && known());
      addEventListener("keydown", escape);
      addEventListener("resize", fit);
      known();
      fit();
      draw();
      if (hovers()) box.focus({ preventScroll: true });
      return () => {
        quiet();
        removeEventListener("keydown", escape);
        removeEventListener("resize", fit);
      };
    },
  };
}

export const view = { name: "playground", title: "Playground", open };

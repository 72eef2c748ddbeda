// Asking the server: the pass or key goes in a header, never in a cookie or an address. It came in the
// link's fragment, which browsers do not send, and lives as long as the tab.

const KEPT = "seekserve-console-pass";
const SILENCE_MS = 15_000;
const MOST = 4e6; // characters of an event
let pass = sessionStorage.getItem(KEPT) || "";

/** Takes the pass out of the address, before anybody copies that. Says whether there was one. */
export function takePass() {
  const found = /(?:^#|&)pass=([\w.~-]+)/.exec(location.hash);
  if (!found) return false;
  signIn(found[1]);
  history.replaceState(null, "", `${location.pathname}#/overview`);
  return true;
}

export function signIn(text) {
  pass = text.trim();
  if (pass) sessionStorage.setItem(KEPT, pass);
  else sessionStorage.removeItem(KEPT);
}

export const signedIn = () => Boolean(pass);

/** What the server refused: `message` says why, `todo` what to do. */
export class Refused extends Error {
  constructor(status, message, todo = "") {
    super(message);
    this.status = status;
    this.todo = todo;
  }
}

/** The JSON at /console/api/`path`. Raises Refused. */
export async function get(path) {
  return (await asked(path)).json();
}

/** Changes something. Raises Refused. */
export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return (await asked(path, { method: "POST", body: JSON.stringify(body), headers })).json();
}

/** A file to keep, under a name. Raises Refused. */
export async function download(path, name) {
  const address = URL.createObjectURL(await (await asked(path)).blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function asked(path, how = {}) {
  let answer;
  try {
    answer = await fetch(`/console/api/${path}`, { ...how, cache: "no-store", headers: { ...headers(), ...how.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer.", "It may have stopped: look where it was started.");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export function headers() {
  return pass ? { Authorization: `Bearer ${pass}` } : {};
}

/** What an answer that is no success says, in our shape or in another's. */
export async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  const error = told.error ?? {};
  return new Refused(answer.status, error.message || `The server answered ${answer.status}.`, error.todo);
}

/** Follows the server for ever: `heard(event, data)` for each event, `changed(how)` when the line comes
 * up ("live"), goes down ("lost") or is closed to us ("refused", with the error). Returns how to stop. */
export function live(heard, changed) {
  const end = new AbortController();
  follow(heard, changed, end.signal);
  return () => end.abort();
}

async function follow(heard, changed, signal) {
  let wait = 500;
  while (!signal.aborted) {
    const quiet = silence(signal);
    try {
      const answer = await asked("live", { signal: quiet.signal });
      changed("live");
      wait = 500;
      for await (const { event, data } of events(answer.body)) {
        quiet.heard();
        heard(event, JSON.parse(data));
      }
      if (signal.aborted) return;
      changed("lost");
    } catch (error) {
      if (signal.aborted) return;
      const closed = error.status === 401 || error.status === 403;
      changed(closed ? "refused" : "lost", error);
      if (closed) return;
    }
    quiet.heard(0);
    await new Promise((wake) => setTimeout(wake, wait));
    wait = Math.min(wait * 1.7, 8000);
  }
}

/** A signal that ends with `signal`, or when nothing was heard for long: there is a tick each second, and
 * a line that was cut in between tells neither end of it. */
function silence(signal) {
  const end = new AbortController();
  const stop = () => end.abort();
  let timer = setTimeout(stop, SILENCE_MS);
  signal.addEventListener("abort", stop, { signal: end.signal });
  return {
    signal: end.signal,
    heard(ms = SILENCE_MS) {
      clearTimeout(timer);
      if (ms) timer = setTimeout(stop, ms);
      else stop();
    },
  };
}

/** Server-sent events of a byte stream: {event, data}. `noted()` is told of each comment. */
export async function* events(body, noted = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (left + value).split(/\r?\n\r?\n/);
      left = parts.pop();
      if (left.length > MOST) throw new Refused(0, "What comes is no stream of events.");
      for (const part of parts) {
        const said = { event: "message", data: [] };
        for (const line of part.split(/\r?\n/)) {
          if (line.startsWith(":")) noted();
          const [, name, text] = /^(\w+): ?(.*)$/s.exec(line) ?? [];
          if (name === "event") said.event = text;
          else if (name === "data") said.data.push(text);
        }
        if (said.data.length) yield { event: said.event, data: said.data.join("\n") };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

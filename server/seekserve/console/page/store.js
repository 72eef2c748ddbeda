// What the page knows of the server: its state, fifteen minutes of figures, and what happened lately.
// It alone follows the server; views read it and are told when something has changed.

import * as api from "./api.js";

const MOST = 900;
const MOST_EVENTS = 200;
const LATE_S = 5; // a tick further behind the last is no late one: the server's clock was set back

export class Store {
  constructor() {
    this.listeners = new Set();
    this.forget();
  }

  forget() {
    this.state = null;
    this.line = "connecting"; // live | lost | refused
    this.error = null;
    this.times = [];
    this.series = new Map();
    this.happened = []; // newest first
    this.more = false; // whether the server knows older ones
    this.offset = 0; // the server's clock less ours, in seconds
  }

  /** Begins to follow, or begins anew as somebody else. */
  follow() {
    this.stop?.();
    this.forget();
    this.stop = api.live((event, data) => this.heard(event, data), (line, error) => this.turned(line, error));
  }

  /** `listener(what)`, what: state | tick | event | line | history. Returns how to stop. */
  on(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  get engines() {
    return this.state?.engines ?? [];
  }

  /** In one word, what whoever opens the page wants to know first. */
  standing() {
    const states = this.engines.map((engine) => engine.state);
    if (!states.length) return "connecting";
    if (states.every((one) => one === "ready")) return "ready";
    if (states.includes("ready")) return "partly ready";
    return states.includes("starting") ? "starting" : states[0];
  }

  /** The newest figure of a series, or null. */
  last(name) {
    return this.series.get(name)?.at(-1) ?? null;
  }

  /** The sum of all that is known of a series in the last `span` seconds, or null where nothing is. */
  sum(name, span = MOST) {
    const known = (this.series.get(name) ?? []).slice(-span).filter((value) => value !== null);
    return known.length ? known.reduce((total, value) => total + value, 0) : null;
  }

  /** A series as long as `times`. */
  column(name) {
    return this.series.get(name) ?? this.times.map(() => null);
  }

  now() {
    return Date.now() / 1000 + this.offset;
  }

  async turned(line, error) {
    this.line = line;
    this.error = error ?? null;
    if (line === "refused") this.state = null;
    this.tell("line");
    if (line === "live") await this.recall();
  }

  /** What was before we came, or while the line was down. */
  async recall() {
    const { stop } = this;
    try {
      const [past, events] = await Promise.all([api.get("history"), api.get("events")]);
      if (stop !== this.stop) return; // somebody else has signed in meanwhile
      this.remember(past);
      this.happened = events.events;
      this.more = events.more;
      this.tell("history");
    } catch {
      // the line tells of it
    }
  }

  remember({ until, step_s, series }) {
    const length = Math.max(0, ...Object.values(series).map((one) => one.length));
    this.times = Array.from({ length }, (_, place) => until - (length - 1 - place) * step_s);
    this.series = new Map(Object.entries(series).map(([name, values]) =>
      [name, [...Array(length - values.length).fill(null), ...values]]));
  }

  heard(event, data) {
    if (event === "state") {
      this.state = data;
      this.offset = data.now - Date.now() / 1000;
    } else if (event === "tick") this.add(data);
    else if (event === "event") this.noted(data);
    this.tell(event);
  }

  add({ at, values, engines }) {
    if (this.state) this.state.engines = engines;
    const behind = (this.times.at(-1) ?? 0) - at;
    if (behind > LATE_S) {
      this.times = [];
      this.series = new Map();
      this.recall();
    } else if (behind >= 0) return;
    this.offset = at - Date.now() / 1000;
    for (const name of Object.keys(values)) {
      if (!this.series.has(name)) this.series.set(name, this.times.map(() => null));
    }
    this.times.push(at);
    for (const [name, past] of this.series) past.push(values[name] ?? null);
    if (this.times.length <= MOST) return;
    this.times.shift();
    for (const past of this.series.values()) past.shift();
  }

  /** An event, or one that is known and has happened again. */
  noted(event) {
    const known = this.happened.findIndex((one) => one.number === event.number);
    if (known >= 0) this.happened[known] = event;
    else this.happened.unshift(event);
    this.happened.length = Math.min(this.happened.length, MOST_EVENTS);
  }

  tell(what) {
    for (const listener of [...this.listeners]) listener(what);
  }
}

// A text that arrives in pieces, put on the page as it comes: what is there is never touched again, so
// a long answer costs what its last lines cost. Fenced code is set apart; all the rest is plain text.

import { h } from "./dom.js";

const BLOCK = 1500; // characters: a block that is longer ends at its next line
const MAYBE = /^ {0,3}`{0,2}$|^ {0,3}```[^`\n]{0,80}$/; // a line that may yet become a fence
const FENCE = /^ {0,3}```+\s*([\w+#.-]{0,20})[^`]*$/;

export class Prose {
  /** A model often begins with a blank, which would look like an indent: `bare` leaves it unshown. */
  constructor(root, bare = false) {
    this.root = root;
    this.bare = bare;
    this.block = null;
    this.size = 0;
    this.code = false;
    this.held = ""; // the line that is not yet known to be none of the fences
    this.within = false; // past the beginning of a line
  }

  add(more) {
    const text = this.bare ? more.trimStart() : more;
    if (text) this.bare = false;
    const lines = (this.held + text).split("\n");
    this.held = "";
    const rest = lines.pop();
    for (const line of lines) this.line(line);
    if (!this.within && MAYBE.test(rest)) this.held = rest;
    else if (rest) {
      this.put(rest);
      this.within = true;
    }
  }

  /** Nothing more comes. */
  end() {
    if (this.held && !FENCE.test(this.held)) this.put(this.held);
    this.held = "";
  }

  line(line) {
    const fence = this.within ? null : FENCE.exec(line);
    this.within = false;
    if (!fence) {
      this.put(`${line}\n`);
      if (this.size > BLOCK) this.block = null;
      return;
    }
    this.code = !this.code;
    this.block = null;
    if (this.code) this.open(fence[1]);
  }

  open(kind = "") {
    this.block = this.code ? h("pre", { "data-kind": kind || null, tabindex: 0, "aria-label": `Code ${kind}` }) : h("div", { class: "prose", dir: "auto" });
    this.size = 0;
    this.root.append(this.block);
  }

  put(text) {
    if (!this.block) this.open();
    this.block.append(text); // a string is appended as text
    this.size += text.length;
  }
}

/** The whole of a text at once. */
export function prose(root, text, bare = false) {
  root.replaceChildren();
  const made = new Prose(root, bare);
  made.add(text);
  made.end();
}

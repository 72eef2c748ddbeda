// The one way elements are made: text is always text, so nothing that a model, a key or an error says
// can become markup.

/** An element. `props`: `on` maps events to listeners, `class`, any attribute (null and false leave it
 * out, true sets it bare); `style` maps CSS properties, set one by one as the page's CSP wants.
 * Children are nodes, strings, numbers, or arrays of them; null is left out. */
export function h(tag, props = {}, ...children) {
  const [name, ns] = tag.startsWith("svg:") ? [tag.slice(4), "http://www.w3.org/2000/svg"] : [tag, null];
  const made = ns ? document.createElementNS(ns, name) : document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (key === "style") for (const [property, said] of Object.entries(value)) made.style.setProperty(property, said);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...nodes(children));
  return made;
}

/** Puts `children` in place of what is inside. */
export function fill(root, ...children) {
  root.replaceChildren(...nodes(children));
  return root;
}

/** Writes a text where it has changed: an unchanged one keeps a reader's selection. */
export function say(node, text) {
  const said = String(text);
  if (node.textContent !== said) node.textContent = said;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** A button; `press` may be async: it is disabled until that has ended. */
export function button(words, press, props = {}) {
  const made = h("button", { type: "button", ...props }, words);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await press(made);
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

/** A button that copies what `text()` says, and says that it has; `kept()` is called once it has. */
export function copying(words, text, props = {}, kept = () => {}) {
  return button(words, async (made) => {
    const done = await copied(text(), made.closest("dialog") ?? document.body);
    if (done) kept();
    say(made, done ? "Copied" : "Select it and press Ctrl-C");
    setTimeout(() => say(made, words), 1500);
  }, { class: "quiet", ...props });
}

/** Outside of localhost and TLS a browser has no clipboard for pages: the old way then, `inside` what
 * may have the focus: beside an open dialog nothing is copied, and the browser says that it was. */
async function copied(text, inside) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "unseen", value: text, "aria-hidden": "true" });
    inside.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** What went wrong, and what to do about it. */
export function trouble(error) {
  return h("div", { class: "trouble", role: "alert" },
    h("p", {}, error.message || String(error)),
    error.todo ? h("p", { class: "dim" }, error.todo) : null);
}

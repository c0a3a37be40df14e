// @ts-check
/** Makes elements. */

/**
 * @param {string} tag  with classes: "p.small.quiet"
 * @param {Record<string, any>} [given]  properties; "aria-…", "data-…", "role", "for" are attributes; on… listeners
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function make(tag, given = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (/^(aria-|data-|role$|for$|list$|style$)/.test(key)) element.setAttribute(key, String(value));
    else Object.assign(element, { [key]: value });
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * A card with a heading and a sentence.
 * @param {string} id
 * @param {string} title
 * @param {string} words
 * @param {...(Node | string)} children
 */
export function card(id, title, words, ...children) {
  return make("section.card", { id, "aria-labelledby": `${id}-title` },
    make("header", {}, make("h2", { id: `${id}-title` }, title), words ? make("p", {}, words) : null), ...children);
}

let fields = 0;

/**
 * A labelled field.
 * @param {string} label
 * @param {HTMLElement} input  gets an id and what describes it
 * @param {string} [hint]
 */
export function field(label, input, hint = "") {
  fields += 1;
  const control = input.matches("input, select") ? input : /** @type {HTMLElement} */ (input.querySelector("input, select"));
  control.id ||= `field-${fields}`;
  const words = make("p.hint", { id: `${control.id}-hint` }, hint);
  if (hint) control.setAttribute("aria-describedby", words.id);
  return make("div.field", {}, make("label", { for: control.id }, label), input, hint ? words : null);
}

/**
 * Says at a field what is wrong with it, or, without a line, that nothing is.
 * @param {HTMLElement} place  a field
 * @param {string} [line]
 */
export function fault(place, line = "") {
  const control = /** @type {HTMLElement} */ (place.querySelector("input[type=text], input, select"));
  const found = place.querySelector(".wrong");
  if (found && found.textContent === line) return;
  found?.remove();
  if (!line) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-errormessage");
    return;
  }
  const words = make("p.wrong.small", { id: `${control.id}-wrong`, role: "alert" }, line);
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-errormessage", words.id);
  place.append(words);
  const closed = place.closest("details:not([open])");
  if (closed) /** @type {HTMLDetailsElement} */ (closed).open = true;
}

/**
 * A button that copies a text, or selects it where a page may not copy.
 * @param {HTMLElement} from  holds the text
 * @param {string} what  it is, for the name of the button
 */
export function copying(from, what) {
  const button = make("button", { type: "button", "aria-label": `Copy ${what}`, onclick: async () => {
    try {
      await navigator.clipboard.writeText(from.textContent ?? "");
      button.textContent = "Copied";
      say(`${what} is copied`);
    } catch {
      getSelection()?.selectAllChildren(from);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2500);
  } }, "Copy");
  return button;
}

/** @param {string} words  said to those who do not see the page */
export function say(words) {
  const live = document.getElementById("live");
  if (live && live.textContent !== words) live.textContent = words;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {number} bytes */
export function bytes(bytes) {
  for (const [unit, size] of /** @type {[string, number][]} */ ([["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])) {
    if (bytes >= size) return `${(bytes / size).toFixed(bytes < 10 * size ? 1 : 0)} ${unit}`;
  }
  return `${bytes} bytes`;
}

const FOCUSED = "button, input, select, a";

/**
 * Replace the children of an element; whoever was on one of them is on the one in its place.
 * @param {HTMLElement} element
 * @param {...(Node | string)} children
 */
export function refill(element, ...children) {
  const at = [...element.querySelectorAll(FOCUSED)].indexOf(/** @type {Element} */ (document.activeElement));
  element.replaceChildren(...children);
  if (at < 0) return;
  const now = /** @type {HTMLElement[]} */ ([...element.querySelectorAll(FOCUSED)]);
  now[Math.min(at, now.length - 1)]?.focus({ preventScroll: true });
}

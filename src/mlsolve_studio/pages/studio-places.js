// @ts-check
/** How the sheets lie for each picture: dragged on a small light box, or typed. */
import { isStill, lying, still, thumbnail } from "./studio-draft.js";
import { card, make, refill, say } from "./studio-make.js";
import { nameOf } from "./studio-guides.js";

/** @typedef {import("./studio-new.js").Desk} Desk */
/** @typedef {import("./studio-draft.js").Place} Place */

/** Degrees by which a notch of the wheel turns. */
const SNAP = 15;

/** @param {Place} place */
export function inWords(place) {
  if (!place.on) return "lifted off";
  if (isStill(place)) return "as it is";
  const words = [];
  if (place.rotate % 360) words.push(`turned ${place.rotate % 360}°`);
  if (place.flip) words.push(place.flip === "h" ? "flipped left to right" : "flipped top to bottom");
  if (place.shift.some((way) => Number.parseFloat(String(way)))) words.push(`shifted ${place.shift.join(", ")}`);
  return words.join(", ");
}

/** @param {Desk} desk */
export function places(desk) {
  let active = 0;
  let chosen = 1;
  const tabs = make("div.choice", { role: "radiogroup", "aria-label": "Picture" });
  const stage = make("div.stage");
  const pane = make("div.pane");
  const list = make("div.places");
  const hint = make("p.small.quiet", { id: "stage-hint" },
    "Drag a sheet to shift it. The wheel or two fingers turn it.",
    make("span.with-keys", {}, " Keys, as on the light table: arrows shift it, , and . turn it by 1°, < and > by 15°, [ and ] by 90°, F flips it, L lifts it off, B lays it straight."));
  stage.append(pane);

  const shown = () => desk.draft.shown[active];
  /** @param {number} layer @returns {Place} */
  const placeOf = (layer) => /** @type {Place} */ (shown().place.find((one) => one.layer === layer));

  /** A shift in pixels of the print. @param {number | string} way */
  function pixels(way) {
    if (typeof way === "number") return way;
    const number = Number.parseFloat(way) || 0;
    const dpi = Number(desk.dpi() ?? 100);
    if (/mm$/.test(way)) return (number / 25.4) * dpi;
    if (/cm$/.test(way)) return (number / 2.54) * dpi;
    return /in$/.test(way) ? number * dpi : number;
  }

  /** @param {HTMLElement} sheet @param {Place} place */
  function pose(sheet, place) {
    const [width, height] = desk.size();
    const [right, down] = place.shift.map(pixels);
    const flip = place.flip === "h" ? " scaleX(-1)" : place.flip === "v" ? " scaleY(-1)" : "";
    sheet.style.transform = `translate(${(100 * right) / width}%, ${(100 * down) / height}%) rotate(${-place.rotate}deg)${flip}`;
    sheet.classList.toggle("off", !place.on);
    sheet.classList.toggle("chosen", place.layer === chosen && place.on);
    sheet.setAttribute("aria-label", `Sheet ${place.layer}, ${inWords(place)}`);
  }

  function poses() {
    for (const sheet of pane.querySelectorAll(".sheet")) pose(sheet, placeOf(Number(sheet.dataset.layer)));
  }

  /** @param {Place} place @param {boolean} [quiet]  while it is dragged */
  function changed(place, quiet = false) {
    poses();
    if (quiet) return;
    say(`Sheet ${place.layer}, ${inWords(place)}`);
    alike();
    desk.changed("places");
  }

  /** Say where two pictures are asked of the same stack, which can show only one. */
  function alike() {
    const ways = desk.draft.shown.map((one) => JSON.stringify([...one.place].sort((a, b) => a.layer - b.layer)));
    same.hidden = new Set(ways).size === ways.length;
  }

  /** @param {Place} place @param {number} degrees */
  function turn(place, degrees) {
    const to = (((place.rotate + degrees) % 360) + 360) % 360;
    place.rotate = Math.round(to * 10) / 10;
  }

  /** @param {KeyboardEvent} event @param {Place} place */
  function key(event, place) {
    const far = event.shiftKey ? 10 : 1;
    const [right, down] = place.shift.map(pixels);
    /** @type {Record<string, () => void>} */
    const does = {
      ArrowLeft: () => { place.shift = [right - far, down]; },
      ArrowRight: () => { place.shift = [right + far, down]; },
      ArrowUp: () => { place.shift = [right, down - far]; },
      ArrowDown: () => { place.shift = [right, down + far]; },
      // As on the light table (table.js).
      ",": () => turn(place, 1),
      ".": () => turn(place, -1),
      "<": () => turn(place, SNAP),
      ";": () => turn(place, SNAP),
      ">": () => turn(place, -SNAP),
      ":": () => turn(place, -SNAP),
      "[": () => turn(place, 90),
      "]": () => turn(place, -90),
      f: () => { place.flip = place.flip === "h" ? null : "h"; },
      F: () => { place.flip = place.flip === "v" ? null : "v"; },
      l: () => { place.on = false; },
      Delete: () => { place.on = false; },
      b: () => { Object.assign(place, still(place.layer)); },
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !does[event.key]) return;
    event.preventDefault();
    does[event.key]();
    changed(place);
  }

  /** @type {Map<number, PointerEvent>} */
  const fingers = new Map();
  let from = { right: 0, down: 0, x: 0, y: 0, angle: 0, rotate: 0 };
  /** @type {HTMLElement | null} */
  let held = null;
  const angle = () => {
    const [one, two] = [...fingers.values()];
    return (Math.atan2(two.clientY - one.clientY, two.clientX - one.clientX) * 180) / Math.PI;
  };
  const middle = () => {
    const all = [...fingers.values()];
    return { x: all.reduce((sum, one) => sum + one.clientX, 0) / all.length, y: all.reduce((sum, one) => sum + one.clientY, 0) / all.length };
  };

  function grip() {
    const place = placeOf(chosen);
    const [right, down] = place.shift.map(pixels);
    from = { right, down, ...middle(), angle: fingers.size > 1 ? angle() : 0, rotate: place.rotate };
  }

  stage.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    const place = placeOf(chosen);
    if (!place?.on || fingers.size > 1) return;
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    held = pane.querySelector(`[data-layer="${chosen}"]`);
    held?.classList.add("held");
    held?.focus({ preventScroll: true });
    event.preventDefault();
    grip();
  });
  stage.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event);
    const place = placeOf(chosen);
    const [width] = desk.size();
    const scale = width / pane.clientWidth;
    const at = middle();
    place.shift = [Math.round(from.right + (at.x - from.x) * scale), Math.round(from.down + (at.y - from.y) * scale)];
    if (fingers.size > 1) place.rotate = (Math.round((from.rotate - (angle() - from.angle)) / 5) * 5 + 720) % 360;
    changed(place, true);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    stage.addEventListener(kind, (/** @type {PointerEvent} */ event) => {
      if (!fingers.delete(event.pointerId)) return;
      if (fingers.size) return grip();
      held?.classList.remove("held");
      changed(placeOf(chosen));
      rows();
    });
  }
  stage.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
    const place = placeOf(chosen);
    if (!place?.on || !stage.matches(":focus-within")) return;
    event.preventDefault();
    turn(place, event.deltaY > 0 ? -SNAP : SNAP);
    changed(place);
    rows();
  }, { passive: false });

  function sheets() {
    const [width, height] = desk.size();
    stage.style.aspectRatio = `${width} / ${height}`;
    // Never taller than the screen, beside which one must be able to scroll.
    stage.style.maxWidth = `${(70 * width) / height}vh`;
    pane.style.aspectRatio = `${width} / ${height}`;
    pane.classList.toggle("disc", desk.draft.settings.shape === "disc");
    const drawn = desk.draft.guides.join();
    if (pane.dataset.drawn === drawn) return poses();
    pane.dataset.drawn = drawn;
    refill(pane, ...desk.draft.guides.map((guide, at) => {
      const layer = at + 1;
      const sheet = make("button.sheet", {
        type: "button", "data-layer": layer, "aria-describedby": "stage-hint",
        onfocus: () => { if (chosen !== layer) { chosen = layer; poses(); marks(); } },
        onkeydown: (/** @type {KeyboardEvent} */ event) => { key(event, placeOf(layer)); rows(); },
      }, make("img", { src: thumbnail(guide), alt: "", draggable: false }));
      return sheet;
    }));
    return poses();
  }

  function marks() {
    for (const row of list.children) row.classList.toggle("chosen", Number(row.dataset.layer) === chosen);
  }

  function rows() {
    refill(list, ...[...shown().place].sort((a, b) => a.layer - b.layer).map((place) => {
      const name = `sheet ${place.layer}`;
      /** @param {0 | 1} way @param {string} label */
      const shift = (way, label) => make("label.tiny", {}, label, make("input", {
        type: "text", value: String(place.shift[way]), "aria-label": `Shift ${name} ${way ? "down" : "right"}, in pixels or as 3mm`,
        onchange: (/** @type {any} */ event) => {
          const text = event.target.value.trim();
          place.shift[way] = /^[-+]?[0-9.]+$/.test(text) ? Number(text) : text;
          changed(place);
        },
      }));
      const row = make("div.place", { "data-layer": place.layer, role: "group", "aria-label": `Sheet ${place.layer}`, onfocusin: () => { if (chosen !== place.layer) { chosen = place.layer; poses(); marks(); } } },
        make("label.whole", {}, make("input", {
          type: "checkbox", checked: place.on, "aria-label": `Sheet ${place.layer} is in this stack`,
          onchange: (/** @type {any} */ event) => { place.on = event.target.checked; changed(place); rows(); },
        }), `Sheet ${place.layer}`),
        make("span.small.quiet", {}, place.on ? nameOf(desk.draft.guides[place.layer - 1], desk) : "lifted off"),
        place.on ? make("div.controls", {},
          make("label.tiny", {}, "Turn °", make("input", {
            type: "number", step: "any", value: String(place.rotate), "aria-label": `Turn ${name} to the left, in degrees`,
            onchange: (/** @type {any} */ event) => { place.rotate = Number(event.target.value) || 0; changed(place); },
          })),
          make("label.tiny", {}, "Flip", make("select", {
            "aria-label": `Flip ${name}`,
            onchange: (/** @type {any} */ event) => { place.flip = event.target.value || null; changed(place); },
          }, ...[["", "no"], ["h", "left–right"], ["v", "top–bottom"]].map(([value, words]) => make("option", { value, selected: (place.flip ?? "") === value }, words)))),
          shift(0, "Right px"), shift(1, "Down px")) : null);
      return row;
    }));
    marks();
  }

  const again = make("button.plain", { type: "button", onclick: () => { shown().place = lying(desk.draft.guides.length); desk.changed("places"); show(); } }, "Lay all of them straight");
  const same = make("p.note", { hidden: true }, "Two of the pictures lay the sheets in the same way. Turn, flip or leave out a sheet for one of them.");
  const open = make("details", {}, make("summary", {}, "Turn, flip, shift or leave out sheets"));
  const body = make("div", { className: "stackwise" }, tabs, same, make("div.lie", {}, make("div", {}, stage, hint), make("div", {}, list, again)));
  open.append(body);
  const section = card("places", "How the sheets lie", "", open);
  const words = /** @type {HTMLElement} */ (section.querySelector("header"));
  const sentence = make("p");
  words.append(sentence);

  function show() {
    const all = desk.draft.shown;
    active = Math.min(active, all.length - 1);
    chosen = Math.min(chosen, desk.draft.guides.length);
    if (all.length > 1 || all.some((one) => !one.place.every(isStill))) open.open = true;
    sentence.textContent = all.length > 1 ? "For each picture the same sheets are laid in another way." : "Straight, one on the other, unless you say otherwise.";
    tabs.hidden = all.length < 2;
    refill(tabs, ...all.map((one, at) => make("label", {},
      make("input", { type: "radio", name: "stack", value: String(at), checked: at === active, onchange: () => { active = at; show(); } }),
      `${at + 1} · ${desk.own(one.picture)?.title ?? "no picture yet"}`)));
    sheets();
    rows();
    alike();
  }
  show();
  return { section, show };
}

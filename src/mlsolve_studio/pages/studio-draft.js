// @ts-check
/** What is being asked for: the draft that the form edits, as a wish for the server, and back. */

/**
 * @typedef {{layer: number, on: boolean, rotate: number, flip: "h" | "v" | null, shift: [number | string, number | string]}} Place
 * @typedef {{picture: string | null, place: Place[], rest: Record<string, any>}} Shown
 * @typedef {{shown: Shown[], guides: string[], sizing: "pixels" | "print", size: string, print: string,
 *   dpi: number | string | null, settings: Record<string, any>}} Draft
 */

const KEPT = "mlsolve-studio-draft";

/** @returns {Draft} */
export function empty() {
  const guides = ["rosette:1:ember", "mosaic:4:lagoon", "kaleidoscope:3:dusk"];
  return {
    shown: [{ picture: null, place: lying(guides.length), rest: {} }],
    guides,
    sizing: "pixels",
    size: "480",
    print: "A3",
    dpi: null,
    settings: { exposure: 0.1 },
  };
}

/** @param {number} sheets @returns {Place[]}  all sheets, unmoved */
export function lying(sheets) {
  return Array.from({ length: sheets }, (_, at) => still(at + 1));
}

/** @param {number} layer @param {boolean} [on] @returns {Place} */
export function still(layer, on = true) {
  return { layer, on, rotate: 0, flip: null, shift: [0, 0] };
}

/** @param {Place} place */
export function isStill(place) {
  return place.on && place.rotate % 360 === 0 && !place.flip && place.shift.every((way) => Number.parseFloat(String(way)) === 0);
}

/** @param {Draft} draft */
export function wish(draft) {
  /** @type {Record<string, any>} */
  const settings = {};
  if (draft.sizing === "print") {
    settings.print = draft.print;
    settings.dpi = draft.dpi ?? 100;
  } else {
    if (draft.size.trim()) settings.size = sizeOf(draft.size);
    if (draft.dpi !== null) settings.dpi = draft.dpi;
  }
  Object.assign(settings, draft.settings);
  const pictures = draft.shown.map((one) => {
    const inOrder = one.place.every((place, at) => place.layer === at + 1);
    const place = inOrder && one.place.every(isStill)
      ? null
      : one.place.filter((entry) => entry.on).map(({ layer, rotate, flip, shift }) => ({ layer, rotate, flip, shift }));
    return { ...one.rest, picture: one.picture, ...(place === null ? {} : { place }) };
  });
  return { pictures, guides: draft.guides, settings };
}

/** @param {string} text @returns {number | [number, number] | string}  as a job file has it */
function sizeOf(text) {
  const parts = text.toLowerCase().replace("×", "x").split("x").map((part) => part.trim());
  if (!parts.every((part) => /^[0-9]{1,7}$/.test(part)) || parts.length > 2) return text;
  return parts.length === 1 ? Number(parts[0]) : [Number(parts[0]), Number(parts[1])];
}

/** @param {any} found  a wish @returns {Draft} */
export function draftOf(found) {
  const { size, print, dpi, ...settings } = found.settings;
  const sheets = found.guides.length;
  const shown = found.pictures.map((/** @type {any} */ { picture, place, ...rest }) => {
    /** @type {Place[]} */
    const placed = (place ?? lying(sheets)).map((/** @type {any} */ entry) => ({ ...still(entry.layer), ...entry, on: true }));
    const there = new Set(placed.map((entry) => entry.layer));
    for (let layer = 1; layer <= sheets; layer += 1) if (!there.has(layer)) placed.push(still(layer, false));
    return { picture, place: placed, rest };
  });
  const square = Array.isArray(size) && size[0] === size[1];
  return {
    shown,
    guides: found.guides,
    sizing: print === undefined ? "pixels" : "print",
    size: size === undefined ? "" : square ? String(size[0]) : Array.isArray(size) ? size.join("x") : String(size),
    print: print ?? "A3",
    dpi: dpi ?? null,
    settings,
  };
}

/** @param {Draft} draft @param {string} guide */
export function addSheet(draft, guide) {
  draft.guides.push(guide);
  for (const one of draft.shown) one.place.push(still(draft.guides.length));
}

/** @param {Draft} draft @param {number} at  from 0 */
export function removeSheet(draft, at) {
  draft.guides.splice(at, 1);
  for (const one of draft.shown) {
    one.place = one.place.filter((entry) => entry.layer !== at + 1);
    for (const entry of one.place) if (entry.layer > at + 1) entry.layer -= 1;
  }
}

/** @param {Draft} draft */
export function keep(draft) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(draft));
  } catch { /* a browser that keeps nothing */ }
}

/** @param {Set<string>} own  the names of the pictures that there are @returns {Draft} */
export function kept(own) {
  try {
    /** @type {Draft} */
    const draft = JSON.parse(localStorage.getItem(KEPT) ?? "");
    for (const one of draft.shown) if (one.picture && !own.has(one.picture)) one.picture = null;
    draft.guides = draft.guides.map((guide) => (guide.includes(":") || own.has(guide) ? guide : "rosette:1:ember"));
    return draft;
  } catch {
    return empty();
  }
}

/** @param {string} guide */
export function thumbnail(guide) {
  return guide.includes(":")
    ? `/api/shelf?guide=${encodeURIComponent(guide)}`
    : `/api/own/pictures/${encodeURIComponent(guide)}/thumbnail`;
}

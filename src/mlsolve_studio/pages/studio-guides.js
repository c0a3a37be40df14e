// @ts-check
/** The sheets: what each looks like on its own, drawn by mlsolve or an own picture. */
import { addSheet, removeSheet, thumbnail } from "./studio-draft.js";
import { card, field, make, refill, say } from "./studio-make.js";

/** @typedef {import("./studio-new.js").Desk} Desk */

const AT_A_TIME = 12;
const MOST = 16;

/** @param {string} guide @param {Desk} desk */
export function nameOf(guide, desk) {
  if (!guide.includes(":")) return desk.own(guide)?.title ?? guide;
  const [family, seed, palette] = guide.split(":");
  return `${family} ${seed}${palette ? `, ${palette}` : ""}`;
}

/** @param {Desk} desk */
export function guides(desk) {
  let active = 0;
  let first = 1;
  const { families, palettes } = desk.found.shelf;
  const row = make("div.grid.large", { role: "group", "aria-label": "Sheets" });
  const drawn = make("div.grid", { role: "group", "aria-label": "Drawn guides" });
  const own = make("div.grid", { role: "group", "aria-label": "Own pictures as guides" });
  const heading = make("h3", { id: "choose-guide" });
  const trouble = make("p.wrong", { hidden: true, role: "alert" });
  const family = make("select", { onchange: () => { first = 1; choose(`${family.value}:${first}${suffix()}`); } },
    ...families.map((/** @type {string} */ name) => make("option", { value: name }, name)));
  const seed = make("input", { type: "text", inputMode: "numeric", value: "1", oninput: () => {
    const wrong = /^ *[0-9]{1,7} *$/.test(seed.value) ? "" : `Seed is ${seed.value.trim() || "empty"}: it must be a whole number from 0 to 9999999`;
    desk.spoil("guide seed", wrong);
  }, onchange: () => {
    if (seed.value.trim().length > 7 || !/^ *[0-9]+ *$/.test(seed.value)) return;
    first = Number(seed.value);
    choose(`${family.value}:${first}${suffix()}`);
  } });
  const seedField = field("Seed", seed, "A whole number; another one is another drawing.");
  desk.fields.set("guide seed", seedField);
  const colours = make("div.choice", { role: "radiogroup", "aria-label": "Palette" });
  for (const name of ["", ...Object.keys(palettes)]) {
    colours.append(make("label", {},
      make("input", { type: "radio", name: "palette", value: name, onchange: () => choose(`${family.value}:${seedNow()}${suffix()}`) }),
      name ? make("span.swatches", { "aria-hidden": "true" }, ...palettes[name].map((/** @type {string} */ colour) => {
        const swatch = make("i");
        swatch.style.background = colour;
        return swatch;
      })) : null, name || "by seed"));
  }
  const next = make("button.plain", { type: "button", onclick: () => { first += AT_A_TIME; shelf(); } }, "More seeds");
  const before = make("button.plain", { type: "button", onclick: () => { first = Math.max(0, first - AT_A_TIME); shelf(); } }, "Earlier seeds");
  const file = make("input", { type: "file", accept: "image/*,.heic,.jxl,.tif,.tiff", id: "drop-guide" });
  file.addEventListener("change", () => void take([...file.files]).then(() => { file.value = ""; }));
  const words = make("span.small.quiet", {}, "Any picture, as large as the print or larger");
  const zone = make("div.drop", {}, make("label", { for: "drop-guide" }, make("strong", {}, "Drop a picture of your own"), " for this sheet"), words, file);
  for (const kind of ["dragenter", "dragover"]) zone.addEventListener(kind, () => zone.classList.add("over"));
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));

  const suffix = () => {
    const palette = /** @type {HTMLInputElement | null} */ (colours.querySelector(":checked"))?.value ?? "";
    return palette ? `:${palette}` : "";
  };

  /** The seed of the chosen sheet, whatever the field says. */
  function seedNow() {
    return Number(desk.draft.guides[active]?.split(":")[1] ?? first);
  }

  /** @param {string} guide @param {number} [at]  the sheet, from 0 */
  function choose(guide, at = active) {
    desk.draft.guides[at] = guide;
    desk.spoil("guide seed", "");
    say(`Sheet ${at + 1} is ${nameOf(guide, desk)}`);
    desk.changed("guides");
  }

  /** @param {File[]} files */
  async function take(files) {
    trouble.hidden = true;
    // It is for the sheet that was chosen when it was dropped.
    let at = active;
    for (const one of files) {
      try {
        const found = await desk.receive("pictures", one, words);
        desk.learn(found);
        at = Math.min(at, desk.draft.guides.length - 1);
        choose(found.name, at);
        at += 1;
      } catch (error) {
        trouble.textContent = String(/** @type {Error} */ (error).message);
        trouble.hidden = false;
      }
    }
    desk.changed("guides");
  }

  function shelf() {
    const chosen = desk.draft.guides[active] ?? "";
    before.hidden = first <= 1;
    refill(drawn, ...Array.from({ length: AT_A_TIME }, (_, at) => {
      const guide = `${family.value}:${first + at}${suffix()}`;
      return make("button.tile", { type: "button", "aria-pressed": guide === chosen, "aria-label": nameOf(guide, desk), onclick: () => choose(guide) },
        make("img", { src: thumbnail(guide), alt: "", loading: "lazy" }), make("span", {}, String(first + at)));
    }));
    refill(own, ...desk.found.pictures.map((/** @type {any} */ one) => make("button.tile",
      { type: "button", "aria-pressed": one.name === chosen, "aria-label": one.title, title: one.title, onclick: () => choose(one.name) },
      make("img", { src: thumbnail(one.name), alt: "", loading: "lazy" }), make("span", {}, one.title))));
  }

  function show() {
    const sheets = desk.draft.guides;
    active = Math.min(active, sheets.length - 1);
    refill(row, ...sheets.map((guide, at) => make("div.slot", {},
      make("button.tile", { type: "button", "aria-pressed": at === active, "aria-label": `Sheet ${at + 1}: ${nameOf(guide, desk)}`, onclick: () => { active = at; show(); } },
        make("img", { src: thumbnail(guide), alt: "" }), make("span", {}, `Sheet ${at + 1}: ${nameOf(guide, desk)}`)),
      sheets.length > 1
        ? make("button.plain", { type: "button", "aria-label": `Remove sheet ${at + 1}`, onclick: () => { removeSheet(desk.draft, at); desk.changed("guides"); } }, "Remove")
        : null)),
    sheets.length < MOST ? make("div.slot", {}, make("button.tile", { type: "button", "aria-label": "Another sheet", onclick: add },
      make("div.blank", { "aria-hidden": "true" }, "+"), make("span", {}, "Another sheet"))) : "");
    heading.textContent = `Sheet ${active + 1} looks like`;
    const [kind, number, palette] = (sheets[active] ?? "").split(":");
    if (number !== undefined) {
      family.value = kind;
      seed.value = number;
      desk.spoil("guide seed", "");
      if (Number(number) < first || Number(number) >= first + AT_A_TIME) first = Math.max(1, Number(number));
      for (const one of colours.querySelectorAll("input")) one.checked = one.value === (palette ?? "");
    }
    shelf();
  }

  function add() {
    const at = desk.draft.guides.length;
    addSheet(desk.draft, `${families[at % families.length]}:${at + 1}:${Object.keys(palettes)[at % Object.keys(palettes).length]}`);
    active = at;
    desk.changed("guides");
  }

  const section = card("guides", "Sheets", "What each sheet looks like on its own. Contrast and edges everywhere hide a picture best.",
    row,
    make("div.under", {}, heading,
      make("div.fields", {}, field("Family", family), seedField),
      colours, drawn, make("div.row", {}, before, next),
      zone, trouble, own));
  show();
  return { section, show };
}

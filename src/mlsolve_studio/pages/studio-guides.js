// @ts-check
/** The sheets: what each looks like on its own, drawn by mlsolve or an own picture. */
import { addSheet, removeSheet, thumbnail } from "./studio-draft.js";
import { card, field, make, refill, say } from "./studio-make.js";
import { send } from "./studio-ask.js";

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
  const seed = make("input", { type: "number", min: 0, max: 9999999, step: 1, onchange: () => { first = whole(seed.value); choose(`${family.value}:${first}${suffix()}`); } });
  const colours = make("div.choice", { role: "radiogroup", "aria-label": "Palette" });
  for (const name of ["", ...Object.keys(palettes)]) {
    colours.append(make("label", {},
      make("input", { type: "radio", name: "palette", value: name, onchange: () => choose(`${family.value}:${whole(seed.value)}${suffix()}`) }),
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
  const zone = make("div.drop", {}, make("label", { for: "drop-guide" }, make("strong", {}, "Drop a picture of your own"), " for this sheet"), file);
  for (const kind of ["dragenter", "dragover"]) zone.addEventListener(kind, () => zone.classList.add("over"));
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));

  const suffix = () => {
    const palette = /** @type {HTMLInputElement | null} */ (colours.querySelector(":checked"))?.value ?? "";
    return palette ? `:${palette}` : "";
  };

  /** @param {string} text */
  function whole(text) {
    return Math.min(9999999, Math.max(0, Math.round(Number(text)) || 0));
  }

  /** @param {string} guide */
  function choose(guide) {
    desk.draft.guides[active] = guide;
    say(`Sheet ${active + 1} is ${nameOf(guide, desk)}`);
    desk.changed("guides");
  }

  /** @param {File[]} files */
  async function take(files) {
    trouble.hidden = true;
    for (const one of files) {
      try {
        const found = await send("pictures", one);
        desk.learn(found);
        choose(found.name);
        active = Math.min(active + 1, desk.draft.guides.length - 1);
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
        make("img", { src: thumbnail(guide), alt: "" }), make("span", {}, `${at + 1} · ${nameOf(guide, desk)}`)),
      sheets.length > 1
        ? make("button.plain", { type: "button", "aria-label": `Remove sheet ${at + 1}`, onclick: () => { removeSheet(desk.draft, at); desk.changed("guides"); } }, "Remove")
        : null)),
    sheets.length < MOST ? make("div.slot", {}, make("button.tile", { type: "button", "aria-label": "Add a sheet", onclick: add },
      make("div.blank", { "aria-hidden": "true" }, "+"), make("span", {}, "Another sheet"))) : "");
    heading.textContent = `Sheet ${active + 1} looks like`;
    const [kind, number, palette] = (sheets[active] ?? "").split(":");
    if (number !== undefined) {
      family.value = kind;
      seed.value = number;
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
      make("div.fields", {}, field("Family", family), field("Seed", seed, "Another seed is another drawing.")),
      colours, drawn, make("div.row", {}, before, next),
      zone, trouble, own));
  show();
  return { section, show };
}

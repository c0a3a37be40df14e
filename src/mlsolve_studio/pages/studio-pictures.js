// @ts-check
/** The pictures that the stack shows: dropped, dropped before, or examples. */
import { ask, post } from "./studio-ask.js";
import { draftOf, lying, thumbnail } from "./studio-draft.js";
import { card, make, refill, say } from "./studio-make.js";

/** @typedef {import("./studio-new.js").Desk} Desk */

/** @param {Desk} desk */
export function pictures(desk) {
  let active = Math.max(0, desk.draft.shown.findIndex((one) => !one.picture));
  const slots = make("div.grid.large", { role: "group", "aria-label": "Pictures that the sheets show" });
  const shelf = make("div.grid", { role: "group", "aria-label": "Pictures to choose among" });
  const forget = make("button.plain", { type: "button", onclick: () => void remove() });
  const more = make("div.under", {}, make("h3", {}, "Dropped before, and examples"), shelf, make("div.row", {}, forget));
  const trouble = make("p.wrong", { hidden: true, role: "alert" });
  const input = make("input", { type: "file", multiple: true, id: "drop-picture", accept: "image/*,.heic,.jxl,.ppm,.tif,.tiff,.toml" });
  input.addEventListener("change", () => void drop([...input.files]).then(() => { input.value = ""; }));
  const words = make("span.small.quiet", {}, "PNG, JPEG, TIFF, WebP, AVIF, HEIC, GIF, JPEG XL, BMP; or a job.toml");
  const zone = make("div.drop", {},
    make("label", { for: "drop-picture" }, make("strong", {}, "Drop a picture here"), ", or choose one"), words, input);
  for (const kind of ["dragenter", "dragover"]) zone.addEventListener(kind, () => zone.classList.add("over"));
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));

  /** @param {File[]} files */
  async function drop(files) {
    trouble.hidden = true;
    const jobs = files.filter((file) => file.name.toLowerCase().endsWith(".toml"));
    for (const file of files.filter((one) => !jobs.includes(one))) {
      try {
        const own = await desk.receive("pictures", file, words);
        desk.learn(own);
        if (jobs.length === 0) take(own.name);
        say(`${own.title}, ${own.width} by ${own.height} pixels, is here`);
        if (own.warnings.length) refuse(own.warnings.join("; "));
      } catch (error) {
        refuse(String(/** @type {Error} */ (error).message));
      }
    }
    for (const file of jobs) {
      try {
        const found = await desk.readJob(file);
        desk.replace(draftOf(found));
        say(`${file.name} was read`);
      } catch (error) {
        refuse(String(/** @type {Error} */ (error).message));
      }
    }
    words.textContent = "PNG, JPEG, TIFF, WebP, AVIF, HEIC, GIF, JPEG XL, BMP; or a job.toml";
    show();
  }

  /** @param {string} line */
  function refuse(line) {
    trouble.textContent = line;
    trouble.hidden = false;
  }

  /** Let the chosen place show this picture; the next empty place is chosen. @param {string} name */
  function take(name) {
    desk.draft.shown[active].picture = name;
    const next = desk.draft.shown.findIndex((one) => !one.picture);
    if (next >= 0) active = next;
    desk.changed("pictures");
  }

  function show() {
    const shown = desk.draft.shown;
    active = Math.min(active, shown.length - 1);
    refill(slots, ...shown.map((one, at) => {
      const own = desk.own(one.picture);
      const title = own ? own.title : "no picture yet";
      const name = shown.length > 1 ? `Picture ${at + 1}: ${title}` : title;
      return make("div.slot", {},
        make("button.tile", { type: "button", "aria-pressed": at === active, "aria-label": name, onclick: () => { active = at; show(); } },
          one.picture ? make("img", { src: thumbnail(one.picture), alt: "" }) : make("div.blank", { "aria-hidden": "true" }, "?"),
          make("span", {}, own ? `${title} · ${own.width}×${own.height}` : title)),
        shown.length > 1
          ? make("button.plain", { type: "button", "aria-label": `Remove picture ${at + 1}`, onclick: () => { shown.splice(at, 1); desk.changed("pictures"); } }, "Remove")
          : null);
    }), make("div.slot", {}, make("button.tile", { type: "button", "aria-label": "Another picture that the same sheets show", onclick: add },
      make("div.blank", { "aria-hidden": "true" }, "+"), make("span", {}, "Another picture"))));
    slots.hidden = shown.length === 1 && !shown[0].picture;
    const chosen = shown[active].picture;
    refill(shelf, 
      ...desk.found.pictures.map((/** @type {any} */ own) => make("button.tile",
        { type: "button", "aria-pressed": own.name === chosen, "aria-label": own.title, title: own.title, onclick: () => { take(own.name); } },
        make("img", { src: thumbnail(own.name), alt: "", loading: "lazy" }), make("span", {}, own.title))),
      ...desk.found.examples
        .filter((/** @type {string} */ name) => !desk.found.pictures.some((/** @type {any} */ own) => own.title === name))
        .map((/** @type {string} */ name) => make("button.tile", { type: "button", "aria-label": `Example ${name}`, title: name, onclick: () => void example(name) },
          make("img", { src: `/api/examples/${name}/thumbnail`, alt: "", loading: "lazy" }), make("span", {}, name))));
    more.hidden = shelf.childElementCount === 0;
    const own = desk.own(chosen);
    forget.hidden = !own;
    forget.textContent = own ? `Remove ${own.title} from the studio` : "";
  }

  async function remove() {
    const name = desk.draft.shown[active].picture;
    try {
      await ask(`/api/own/pictures/${name}`, { method: "DELETE" });
      desk.found.pictures = desk.found.pictures.filter((/** @type {any} */ own) => own.name !== name);
      for (const one of desk.draft.shown) if (one.picture === name) one.picture = null;
      desk.draft.guides = desk.draft.guides.map((guide) => (guide === name ? "rosette:1:ember" : guide));
      desk.changed("pictures");
    } catch (error) {
      refuse(String(/** @type {Error} */ (error).message));
    }
  }

  function add() {
    desk.draft.shown.push({ picture: null, place: lying(desk.draft.guides.length), rest: {} });
    active = desk.draft.shown.length - 1;
    desk.changed("pictures");
    zone.querySelector("input")?.focus();
    say("Choose the next picture that the same sheets show");
  }

  /** @param {string} name */
  async function example(name) {
    try {
      const own = await post(`/api/examples/${name}`);
      desk.learn(own);
      take(own.name);
    } catch (error) {
      refuse(String(/** @type {Error} */ (error).message));
    }
  }

  const section = card("pictures", "Picture", "What the sheets show together on the light box.",
    make("div", { className: "stackwise" }, slots, zone, trouble), more);
  show();
  return { section, show };
}

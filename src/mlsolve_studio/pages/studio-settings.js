// @ts-check
/** Size, light, tolerance, and every other setting of a job file. */
import { card, field, make, say } from "./studio-make.js";
import { labelOf } from "./studio-words.js";

/** @typedef {import("./studio-new.js").Desk} Desk */

/** @param {Desk} desk */
export function settings(desk) {
  const draft = () => desk.draft;
  /** @param {string} key @param {any} value  undefined: as if it were not there */
  function set(key, value) {
    if (value === undefined || value === "") delete draft().settings[key];
    else draft().settings[key] = value;
    desk.changed("settings");
  }
  /** @param {string} text  a number, or the text itself for the server to refuse */
  const number = (text) => (text.trim() === "" ? undefined : Number.isFinite(Number(text)) ? Number(text) : text.trim());

  // Size
  const ways = make("div.choice", { role: "radiogroup", "aria-label": "Size in" });
  for (const [value, words] of [["pixels", "Pixels"], ["print", "Print size"]]) {
    ways.append(make("label", {}, make("input", { type: "radio", name: "sizing", value, onchange: () => { draft().sizing = /** @type {any} */ (value); desk.changed("settings"); show(); } }), words));
  }
  const size = make("input", { type: "text", inputMode: "numeric", placeholder: "as the picture", oninput: () => { draft().size = size.value; desk.changed("settings"); } });
  const print = make("input", { type: "text", list: "papers", oninput: () => { draft().print = print.value; desk.changed("settings"); } });
  const papers = make("datalist", { id: "papers" }, ...["A5", "A4", "A3", "A2", "A1", "300x300mm", "600x900mm", "24x36in"].map((value) => make("option", { value })));
  const dpi = make("input", { type: "text", inputMode: "decimal", oninput: () => { draft().dpi = number(dpi.value) ?? null; desk.changed("settings"); } });
  const shape = make("select", { onchange: () => set("shape", shape.value === "sheet" ? undefined : shape.value) },
    make("option", { value: "sheet" }, "rectangular"), make("option", { value: "disc" }, "round"));
  const sizeField = field("Side, or width x height", size, "480, or 600x400. Left empty: as large as the picture.");
  const printField = field("Print size", print, "A3, A2-landscape, or 600x900mm.");
  const dpiField = field("Pixels per inch", dpi, "100 is a pixel of a quarter of a millimetre, which hands can align.");

  // Light
  const exposure = make("input", { type: "range", min: -4, max: 0, step: 0.01, id: "exposure" });
  const exposureNumber = make("input", { type: "text", inputMode: "decimal", "aria-label": "Exposure as a number" });
  const exposureHint = make("p.hint", { id: "exposure-hint" });
  exposure.setAttribute("aria-describedby", "exposure-hint");
  exposure.addEventListener("input", () => {
    const value = Number((10 ** Number(exposure.value)).toPrecision(2));
    exposureNumber.value = String(value);
    set("exposure", value);
    light();
  });
  exposureNumber.addEventListener("input", () => { set("exposure", number(exposureNumber.value)); light(); });
  const exposureField = make("div.field", {}, make("label", { for: "exposure" }, "Exposure"),
    make("div.with-unit", {}, exposure, exposureNumber), exposureHint);

  function light() {
    const value = Number(draft().settings.exposure ?? 0.25);
    exposureNumber.value = String(draft().settings.exposure ?? 0.25);
    if (value > 0) exposure.value = String(Math.log10(value));
    if (!(value >= 1e-4 && value <= 1)) {
      exposure.setAttribute("aria-valuetext", "no exposure");
      exposureHint.textContent = "From 0.0001 to 1: one over how many times as bright the box is as the picture.";
      return;
    }
    const times = Number((1 / value).toPrecision(3));
    exposure.setAttribute("aria-valuetext", `${value}: the box is ${times} times as bright as the picture`);
    exposureHint.textContent = `The box must be ${times} times as bright as the picture is to look. Lower: the sheets look more like their guides.`;
  }

  // Tolerance and hiding
  const tolerance = make("input", { type: "text", inputMode: "decimal", value: "0" });
  const unit = make("select", { "aria-label": "Unit of the tolerance" }, make("option", { value: "mm" }, "mm"), make("option", { value: "px" }, "px"));
  const tolerate = () => {
    const value = tolerance.value.trim();
    set("registration", value === "" || Number(value) === 0 ? undefined : `${value}${unit.value}`);
  };
  tolerance.addEventListener("input", tolerate);
  unit.addEventListener("change", tolerate);
  const toleranceField = field("Tolerance", make("div.with-unit", {}, tolerance, unit), "How far sheets may lie off before the picture suffers; it costs some sharpness.");
  const hide = make("input", { type: "range", min: 0, max: 6, step: 0.5, oninput: () => { set("hide_weight", Number(hide.value) || undefined); hiding(); } });
  const hideField = field("Hiding", hide, " ");
  function hiding() {
    hide.value = String(draft().settings.hide_weight ?? 0);
    const value = Number(hide.value);
    const words = value === 0 ? "Off: a sheet alone may show something of the picture." : `${value}: ${value >= 3 ? "a sheet alone shows a third or less of what it would." : "a sheet alone shows less of the picture."}`;
    hide.setAttribute("aria-valuetext", words);
    /** @type {HTMLElement} */ (hideField.querySelector(".hint")).textContent = words;
  }
  const media = make("select", { onchange: () => set("media", media.value || undefined) });
  const profile = make("input", { type: "file", accept: ".toml", className: "unseen", id: "drop-media" });
  profile.addEventListener("change", async () => {
    for (const file of profile.files) {
      try {
        const found = await desk.receive("media", file, adding);
        desk.found.media = [...desk.found.media.filter((/** @type {any} */ one) => one.name !== found.name), found];
        set("media", found.name);
        show();
        say(`The profile ${found.title} is here`);
      } catch (error) {
        desk.refuse(String(/** @type {Error} */ (error).message));
      }
    }
    profile.value = "";
  });
  const mediaField = field("Printer and film", media, "With a profile the sheets are what this printer is to be given.");
  const adding = make("span.button", {}, "Add a profile …");
  mediaField.append(make("label", { for: "drop-media", className: "small" }, adding), profile);
  const seed = make("input", { type: "text", inputMode: "numeric", placeholder: "0", oninput: () => set("seed", number(seed.value)) });
  const seedField = field("Seed of the start", seed, "Another seed gives other sheets of the same quality.");
  const shapeField = field("Outline", shape);

  // The others
  /** @type {Map<string, {input: any, kind: string}>} */
  const others = new Map();
  const rest = make("div.fields");
  for (const one of desk.found.fields) {
    const input = one.choices.length
      ? make("select", {}, ...one.choices.map((/** @type {any} */ value) => make("option", { value: String(value) }, String(value))))
      : make("input", { type: "text", placeholder: one.default || one.otherwise });
    input.addEventListener("change", () => {
      const typed = input.value.trim();
      const same = typed === "" || (one.choices.length && typed === one.default);
      set(one.name, same ? undefined : one.kind === "text" ? (/^[0-9]+$/.test(typed) && !one.choices.length ? Number(typed) : typed) : number(typed));
    });
    others.set(one.name, { input, kind: one.kind });
    const range = [one.values, one.default ? `${one.default} unless you say otherwise` : one.otherwise].filter(Boolean).join("; ");
    const place = field(labelOf(one.name), input, `${one.help}${range ? ` (${range})` : ""}`);
    desk.fields.set(one.name, place);
    rest.append(place);
  }
  for (const [key, place] of Object.entries({
    size: sizeField, print: printField, dpi: dpiField, exposure: exposureField, registration: toleranceField,
    hide_weight: hideField, media: mediaField, seed: seedField, shape: shapeField,
  })) desk.fields.set(key, place);
  const more = make("details", {}, make("summary", {}, "All other settings"), rest);

  function show() {
    const now = draft();
    for (const one of ways.querySelectorAll("input")) one.checked = one.value === now.sizing;
    sizeField.hidden = now.sizing !== "pixels";
    printField.hidden = dpiField.hidden = now.sizing !== "print";
    size.value = now.size;
    print.value = now.print;
    dpi.value = now.dpi === null ? (now.sizing === "print" ? "100" : "") : String(now.dpi);
    shape.value = now.settings.shape ?? "sheet";
    seed.value = now.settings.seed === undefined ? "" : String(now.settings.seed);
    const [, far, way] = /^([0-9.]+) *(mm|px)?$/.exec(String(now.settings.registration ?? "")) ?? [];
    tolerance.value = far ?? "0";
    unit.value = way ?? (far === undefined && now.sizing === "print" ? "mm" : "px");
    media.replaceChildren(make("option", { value: "" }, "ideal inks"),
      ...desk.found.media.filter((/** @type {any} */ one) => one.name !== "ideal").map((/** @type {any} */ one) => make("option", { value: one.name }, one.title)));
    media.value = now.settings.media ?? "";
    for (const [name, { input }] of others) {
      const value = now.settings[name];
      input.value = value === undefined ? (input.matches("select") ? desk.found.fields.find((/** @type {any} */ one) => one.name === name).default : "") : String(value);
      if (value !== undefined) more.open = true;
    }
    light();
    hiding();
  }

  const section = card("settings", "Size and light", "",
    make("div", { className: "stackwise" }, ways,
      make("div.fields", {}, sizeField, printField, dpiField, shapeField), papers,
      make("div.fields", {}, exposureField, hideField, toleranceField, mediaField, seedField),
      more));
  show();
  return { section, show };
}

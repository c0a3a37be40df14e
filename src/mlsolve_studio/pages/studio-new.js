// @ts-check
/** A new stack: the form, what it comes to, and its start. */
import { ask, post, send } from "./studio-ask.js";
import { empty, keep, kept, wish } from "./studio-draft.js";
import { guides } from "./studio-guides.js";
import { bytes, card, copying, duration, fault, make, say } from "./studio-make.js";
import { pictures } from "./studio-pictures.js";
import { places } from "./studio-places.js";
import { settings } from "./studio-settings.js";
import { keyOf, worded } from "./studio-words.js";

/**
 * What the parts of the form share.
 * @typedef {{draft: import("./studio-draft.js").Draft, found: any, own: (name: string | null) => any, learn: (own: any) => void,
 *   changed: (part: string) => void, replace: (draft: import("./studio-draft.js").Draft) => void, readJob: (file: File) => Promise<any>,
 *   size: () => [number, number], dpi: () => number | string | null, refuse: (line: string) => void,
 *   receive: (kind: "pictures" | "media", file: File, state: HTMLElement) => Promise<any>,
 *   fields: Map<string, HTMLElement>, spoil: (key: string, line: string) => void}} Desk
 *
 * `receive` sends a file and says in an element how that stands; `fields` are those on the page by the key of a job file;
 * `spoil` says that what was typed into a field is nothing to send, or, with an empty line, that it is.
 */

/**
 * @param {any} found  what the studio has
 * @param {import("./studio-draft.js").Draft | null} given  instead of the draft that was kept
 */
export function newStack(found, given) {
  const names = new Set(found.pictures.map((/** @type {any} */ one) => one.name));
  /** @type {{size: [number, number], dpi: number | null, toml: string} | null} */
  let checked = null;
  let asked = 0;
  /** Files that are on their way. @type {Set<string>} */
  const arriving = new Set();
  /** Fields with something that cannot be sent, and why. @type {Map<string, string>} */
  const spoilt = new Map();
  /** Whether it was started. */
  let begun = false;
  /** The estimate under way. @type {AbortController | null} */
  let estimating = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let soon;

  /** @type {Desk} */
  const desk = {
    draft: given ?? kept(names),
    found,
    own: (name) => found.pictures.find((/** @type {any} */ one) => one.name === name),
    learn: (own) => {
      found.pictures = [...found.pictures.filter((/** @type {any} */ one) => one.name !== own.name), own];
    },
    changed: (part) => {
      keep(desk.draft);
      if (part === "pictures" || part === "guides") for (const one of parts) one.show();
      if (part === "settings") parts[2].show();
      clearTimeout(soon);
      soon = setTimeout(() => void check(), 200);
      forget();
    },
    replace: (draft) => {
      desk.draft = draft;
      keep(draft);
      forget();
      spoilt.clear();
      for (const place of desk.fields.values()) fault(place);
      for (const one of parts) one.show();
      void check();
    },
    readJob: async (file) => ask("/api/job", { method: "POST", headers: { "Content-Type": "application/toml" }, body: file }),
    size: () => {
      const first = desk.own(desk.draft.shown[0].picture);
      return checked?.size ?? (first ? [first.width, first.height] : [480, 480]);
    },
    dpi: () => checked?.dpi ?? desk.draft.dpi,
    refuse: (line) => {
      const key = keyOf(line), place = desk.fields.get(key);
      trouble.textContent = worded(line, new Set([...desk.fields.keys(), "guides"]));
      trouble.hidden = false;
      if (place) fault(place, trouble.textContent);
    },
    receive: async (kind, file, state) => {
      state.dataset.words ??= state.textContent ?? "";
      arriving.add(file.name);
      state.textContent = `Receiving and reading ${file.name}, ${bytes(file.size)} …`;
      say(`Receiving ${file.name}`);
      after();
      try {
        return await send(kind, file);
      } finally {
        arriving.delete(file.name);
        state.textContent = state.dataset.words;
        after();
      }
    },
    fields: new Map(),
    spoil: (key, line) => {
      const place = desk.fields.get(key);
      if ((spoilt.get(key) ?? "") === line) return;
      if (line) spoilt.set(key, line);
      else spoilt.delete(key);
      if (place) fault(place, line);
      forget();
      after();
    },
  };

  /** What was estimated is of other settings now. */
  function forget() {
    estimating?.abort();
    estimating = null;
    estimated.replaceChildren();
    full.hidden = true;
    look.textContent = "Estimate time and memory";
  }

  const trouble = make("p.wrong", { role: "alert", hidden: true, id: "trouble" });
  const facts = make("dl.facts");
  const estimated = make("div", { id: "estimate" });
  const full = make("p.wrong", { id: "full", role: "alert", hidden: true });
  const toml = make("pre", { tabIndex: 0, id: "toml", "aria-label": "job.toml" });
  const start = make("button.main", { type: "button", id: "start", onclick: () => void begin() }, "Start");
  const look = make("button", { type: "button", id: "estimate-button", onclick: () => {
    if (!estimating) return void estimate();
    forget();
    say("The estimate is cancelled");
  } }, "Estimate time and memory");
  const save = make("a.button", { download: "job.toml" }, "Save job.toml");
  const job = make("details", {}, make("summary", {}, "The job.toml of this"), make("div", { className: "stackwise" },
    make("p.small.quiet", {}, "This page writes this file and does nothing else. In the folder of a run ", make("code", {}, "mlsolve run job.toml"), " makes the same bytes."),
    toml, make("div.row", {}, save, copying(toml, "job.toml"))));

  async function check() {
    asked += 1;
    const mine = asked;
    if (!desk.draft.shown.every((one) => one.picture)) {
      checked = null;
      hush();
      return after();
    }
    try {
      const answer = await post("/api/check", wish(desk.draft));
      if (mine !== asked) return;
      const before = desk.size().join();
      checked = answer;
      hush();
      if (desk.size().join() !== before) parts[2].show();
    } catch (error) {
      if (mine !== asked) return;
      checked = null;
      hush();
      desk.refuse(String(/** @type {Error} */ (error).message));
    }
    after();
  }

  /** Nothing is refused any more, but for what cannot even be sent. */
  function hush() {
    trouble.hidden = true;
    for (const [key, place] of desk.fields) fault(place, spoilt.get(key));
  }

  function after() {
    const { guides: sheets, shown, settings: set } = desk.draft;
    start.disabled = begun || checked === null || arriving.size > 0 || spoilt.size > 0;
    look.disabled = start.disabled && !estimating;
    job.hidden = checked === null;
    const rows = [["Sheets", String(sheets.length)], ["Pictures", String(shown.filter((one) => one.picture).length)]];
    if (checked) {
      const [width, height] = checked.size;
      rows.push(["Pixels", `${width} × ${height}`]);
      if (checked.dpi) rows.push(["Print", `${Math.round((width / checked.dpi) * 25.4)} × ${Math.round((height / checked.dpi) * 25.4)} mm`]);
      toml.textContent = checked.toml;
      if (save.href) URL.revokeObjectURL(save.href);
      save.href = URL.createObjectURL(new Blob([checked.toml], { type: "application/toml" }));
    }
    rows.push(["Exposure", String(set.exposure ?? 0.25)]);
    facts.replaceChildren(...rows.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
    hint.hidden = arriving.size + spoilt.size === 0 && (checked !== null || !trouble.hidden);
    hint.textContent = arriving.size
      ? `Start waits for ${[...arriving].join(", ")}.`
      : spoilt.size ? `Start waits until this is mended: ${[...spoilt.values()].join("; ")}` : shown.some((one) => one.picture) ? "Choose the other picture too, or remove its place." : "Choose a picture to begin.";
  }

  async function estimate() {
    const mine = new AbortController();
    estimating = mine;
    look.textContent = "Cancel the estimate";
    estimated.replaceChildren(make("p.note", {}, "Rehearsing the run at small sizes …"));
    say("Estimating");
    try {
      const now = await post("/api/estimate", wish(desk.draft), mine.signal);
      // The form may be another one by now.
      if (estimating !== mine) return;
      const rows = [
        ["Time", `about ${duration(now.seconds)}`],
        ["Memory", `${bytes(now.memory)}${now.memory_free ? ` of ${bytes(now.memory_free)} free` : ""}`],
        ["Disk", `${bytes(now.disk)} of ${bytes(now.disk_free)} free`],
        ["Tiles", now.tiles === 1 ? "in one piece" : `${now.tiles} of ${now.tile[0]} × ${now.tile[1]}`],
        ["Light box", `${Math.round(now.box.needed)} cd/m²`],
        ["Computed by", now.backend === "cuda" ? "the graphics card" : "the processor"],
      ];
      estimated.replaceChildren(
        make("dl.facts", {}, ...rows.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)])),
        make("p.hint", {}, "cd/m² is how bright a surface is: white on a screen has 100 to 400, a box to judge slides on (ISO 3664) 1270."),
        ...now.warnings.map((/** @type {string} */ line) => make("p.note", {}, line)));
      full.hidden = now.disk <= now.disk_free;
      full.textContent = `It does not fit on this disk: the run needs ${bytes(now.disk)}, ${bytes(now.disk_free)} are free. Free some of it, or choose a smaller size.`;
      say(`About ${duration(now.seconds)}`);
    } catch (error) {
      if (estimating !== mine) return;
      estimated.replaceChildren(make("p.wrong", { role: "alert" }, worded(String(/** @type {Error} */ (error).message), new Set(desk.fields.keys()))));
    }
    estimating = null;
    look.textContent = "Estimate again";
    after();
  }

  async function begin() {
    begun = true;
    after();
    try {
      const { name } = await post("/api/runs", wish(desk.draft));
      location.hash = `#run/${name}`;
    } catch (error) {
      begun = false;
      after();
      desk.refuse(String(/** @type {Error} */ (error).message));
    }
  }

  const hint = make("p.small.quiet", { id: "hint" });
  const afresh = make("button.plain", { type: "button", onclick: () => desk.replace(empty()) }, "Start over");
  /** @type {{section: HTMLElement, show: () => void}[]} */
  const parts = [];
  parts.push(pictures(desk), guides(desk), places(desk), settings(desk));
  const beside = make("aside.beside", { "aria-label": "What this comes to" },
    card("summary", "This stack", "", make("div", { className: "stackwise" }, facts, hint, trouble, full, start, look, estimated, job)),
    make("div.row", {}, afresh));
  void check();
  after();
  return make("div", {}, make("h1", { tabIndex: -1 }, "A new stack"),
    make("p.lead", {}, "Sheets that multiply to a picture on a light box, while each alone looks like something else."),
    make("div.new", {}, make("div.steps", {}, ...parts.map((one) => one.section)), beside));
}

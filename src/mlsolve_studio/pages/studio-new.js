// @ts-check
/** A new stack: the form, what it comes to, and its start. */
import { ask, post } from "./studio-ask.js";
import { empty, keep, kept, wish } from "./studio-draft.js";
import { guides } from "./studio-guides.js";
import { bytes, card, duration, make, say } from "./studio-make.js";
import { pictures } from "./studio-pictures.js";
import { places } from "./studio-places.js";
import { settings } from "./studio-settings.js";

/**
 * What the parts of the form share.
 * @typedef {{draft: import("./studio-draft.js").Draft, found: any, own: (name: string | null) => any, learn: (own: any) => void,
 *   changed: (part: string) => void, replace: (draft: import("./studio-draft.js").Draft) => void, readJob: (file: File) => Promise<any>,
 *   size: () => [number, number], dpi: () => number | string | null, refuse: (line: string) => void}} Desk
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
      estimated.replaceChildren();
    },
    replace: (draft) => {
      desk.draft = draft;
      keep(draft);
      for (const one of parts) one.show();
      void check();
    },
    readJob: async (file) => ask("/api/job", { method: "POST", headers: { "Content-Type": "application/toml" }, body: file }),
    size: () => {
      const first = desk.own(desk.draft.shown[0].picture);
      return checked?.size ?? (first ? [first.width, first.height] : [480, 480]);
    },
    dpi: () => checked?.dpi ?? desk.draft.dpi,
    refuse: (line) => { trouble.textContent = line; trouble.hidden = false; },
  };

  const trouble = make("p.wrong", { role: "alert", hidden: true, id: "trouble" });
  const facts = make("dl.facts");
  const estimated = make("div", { id: "estimate" });
  const toml = make("pre", { tabIndex: 0, id: "toml", "aria-label": "job.toml" });
  const start = make("button.main", { type: "button", id: "start", onclick: () => void begin() }, "Start");
  const look = make("button", { type: "button", id: "estimate-button", onclick: () => void estimate() }, "Estimate time and memory");
  const save = make("a.button", { download: "job.toml" }, "Save job.toml");
  const job = make("details", {}, make("summary", {}, "The job.toml of this"), make("div", { className: "stackwise" },
    make("p.small.quiet", {}, "This page writes this file and does nothing else. In the folder of a run ", make("code", {}, "mlsolve run job.toml"), " makes the same bytes."),
    toml, make("div.row", {}, save)));

  async function check() {
    asked += 1;
    const mine = asked;
    if (!desk.draft.shown.every((one) => one.picture)) {
      checked = null;
      trouble.hidden = true;
      return after();
    }
    try {
      const answer = await post("/api/check", wish(desk.draft));
      if (mine !== asked) return;
      const before = desk.size().join();
      checked = answer;
      trouble.hidden = true;
      if (desk.size().join() !== before) parts[2].show();
    } catch (error) {
      if (mine !== asked) return;
      checked = null;
      desk.refuse(String(/** @type {Error} */ (error).message));
    }
    after();
  }

  function after() {
    const { guides: sheets, shown, settings: set } = desk.draft;
    start.disabled = look.disabled = checked === null;
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
    hint.hidden = checked !== null || !trouble.hidden;
    hint.textContent = shown.some((one) => one.picture) ? "Choose the other picture too, or remove its place." : "Choose a picture to begin.";
  }

  async function estimate() {
    look.disabled = true;
    estimated.replaceChildren(make("p.note", {}, "Rehearsing the run at small sizes …"));
    say("Estimating");
    try {
      const now = await post("/api/estimate", wish(desk.draft));
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
        ...now.warnings.map((/** @type {string} */ line) => make("p.note", {}, line)),
        now.disk > now.disk_free ? make("p.wrong", {}, "It does not fit on this disk.") : "");
      say(`About ${duration(now.seconds)}`);
    } catch (error) {
      estimated.replaceChildren(make("p.wrong", { role: "alert" }, String(/** @type {Error} */ (error).message)));
    }
    look.disabled = checked === null;
  }

  async function begin() {
    start.disabled = true;
    try {
      const { name } = await post("/api/runs", wish(desk.draft));
      location.hash = `#run/${name}`;
    } catch (error) {
      desk.refuse(String(/** @type {Error} */ (error).message));
      start.disabled = false;
    }
  }

  const hint = make("p.small.quiet", { id: "hint" });
  const afresh = make("button.plain", { type: "button", onclick: () => desk.replace(empty()) }, "Start over");
  /** @type {{section: HTMLElement, show: () => void}[]} */
  const parts = [];
  parts.push(pictures(desk), guides(desk), places(desk), settings(desk));
  const beside = make("aside.beside", { "aria-label": "What this comes to" },
    card("summary", "This stack", "", make("div", { className: "stackwise" }, facts, hint, trouble, start, look, estimated, job)),
    make("div.row", {}, afresh));
  void check();
  after();
  return make("div", {}, make("h1", { tabIndex: -1 }, "A new stack"),
    make("p.lead", {}, "Sheets that multiply to a picture on a light box, while each alone looks like something else."),
    make("div.new", {}, make("div.steps", {}, ...parts.map((one) => one.section)), beside));
}

// @ts-check
/** One run: the stack as it grows, stop and continue, and what comes of it. */
import { ask, post } from "./studio-ask.js";
import { draftOf } from "./studio-draft.js";
import { worded } from "./studio-words.js";
import { bytes, card, copying, duration, field, make, say } from "./studio-make.js";

export const STATES = {
  waiting: "in line", running: "being solved", stopping: "stopping", stopped: "stopped", finished: "finished", failed: "refused",
};
/** What can be said of the command that repeats a run, by its state. */
const REPEATS = {
  waiting: "Will be solved when it is its turn. The same on the command line:", running: "Is being solved. The same on the command line:",
  stopping: "Is being stopped. The whole run on the command line:",
  stopped: "Solves all of it from the start; Continue goes on from where it was stopped, and ends with the same bytes:",
  finished: "Repeats this run to the byte:", failed: "The same on the command line:",
};
const STAGES = { starting: "Loading", pictures: "Preparing the pictures", solving: "Solving", writing: "Writing the layers", scoring: "Scoring the layers", done: "Done" };

/**
 * @param {string} name
 * @param {any} found  what the studio has
 * @param {(draft: import("./studio-draft.js").Draft) => void} again
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function oneRun(name, found, again) {
  const base = `/api/runs/${encodeURIComponent(name)}`;
  let open = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let state = "";
  let looks = "";
  let listed = "";
  /** Whether files for a shop were just asked for. */
  let asking = false;

  const title = make("h1", { tabIndex: -1 }, name);
  const badge = make("span.state", { id: "state" });
  const growing = make("div.growing", { id: "growing" });
  const bar = make("progress", { max: 1, value: 0, "aria-label": "Share of the run that is done" });
  const words = make("p", { id: "words" });
  const left = make("p.small.quiet");
  const trail = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  trail.setAttribute("class", "trail");
  trail.setAttribute("viewBox", "0 0 100 100");
  trail.setAttribute("preserveAspectRatio", "none");
  trail.setAttribute("role", "img");
  const plot = make("div.plot", {}, make("span.high", {}, "1"), make("span.half", {}, "0.5"), make("span.low", {}, "0"), trail,
    make("span.from", {}, "start"), make("span.to", {}, "end"));
  const trailWords = make("p.small.quiet");
  const scores = make("div", { id: "run-scores" });
  const line = make("p.wrong", { id: "line", hidden: true });
  const notes = make("div.stackwise");
  const stop = make("button", { type: "button", id: "stop", onclick: () => void act("stop") }, "Stop");
  const go = make("button.main", { type: "button", id: "resume", onclick: () => void act("resume") }, "Continue");
  const table = make("a.button.main", { id: "table", hidden: true }, "Lay it on the light table");
  const copy = make("button", { type: "button", onclick: () => void use() }, "Use these settings again");
  const remove = make("button.plain", { type: "button", id: "remove", onclick: () => question.showModal() }, "Remove this run …");
  const question = make("dialog", { "aria-labelledby": "question" }, make("h2", { id: "question" }, "Remove this run?"),
    make("p", {}, "It is taken off the list, and its folder is moved into “removed” in the folder of the studio. Nothing is deleted."),
    make("form.row", { method: "dialog" }, make("button.main", { type: "submit", value: "yes" }, "Remove"), make("button", { type: "submit", value: "no" }, "Keep")));
  question.addEventListener("close", () => { if (question.returnValue === "yes") void away(); });
  const toml = make("pre", { tabIndex: 0, "aria-label": "job.toml" });
  const command = make("pre", { tabIndex: 0, "aria-label": "The command" });
  const repeats = make("p.small.quiet", { id: "repeats" });
  const layers = make("div.layers");
  const files = make("ul.files");
  const made = make("div.stackwise");
  const shop = make("select", {}, ...found.shops.map((/** @type {any} */ one) => make("option", { value: one.name }, one.name)));
  const about = make("p.hint");
  const dpi = make("input", { type: "text", inputMode: "decimal", placeholder: "as the run says" });
  const order = make("button", { type: "button", id: "make-sheets", onclick: () => void sheets() }, "Make the files");
  const refused = make("p.wrong", { hidden: true, role: "alert" });
  shop.addEventListener("change", tellAbout);

  const status = card("status", "Progress", "", make("div", { className: "stackwise" }, bar, words, left, plot, trailWords, scores, line, notes, make("div.row", {}, stop, go, table, copy, remove), question));
  const results = card("layers", "Sheets", "To print, one on each sheet of film.", layers);
  const shops = card("shops", "For a print shop", "Files with bleed and marks, and the pages that say how to assemble them.",
    make("div", { className: "stackwise" }, make("div.fields", {}, field("Shop", shop), field("Pixels per inch", dpi)), about, make("div.row", {}, order), refused, made));
  const all = card("files", "Files", "", files);
  const job = card("job", "job.toml", "", make("div", { className: "stackwise" },
    repeats, command, make("div.row", {}, copying(command, "the command")), toml,
    make("div.row", {}, make("a.button", { href: `${base}/job.toml`, download: "job.toml" }, "Save job.toml"), copying(toml, "job.toml"))));

  function tellAbout() {
    about.textContent = found.shops.find((/** @type {any} */ one) => one.name === shop.value)?.about ?? "";
  }

  /** @param {string} what */
  async function act(what) {
    stop.disabled = go.disabled = true;
    try {
      await post(`${base}/${what}`);
    } catch (error) {
      line.textContent = inWords(error);
      line.hidden = false;
    }
    stop.disabled = go.disabled = false;
    await look();
  }

  async function away() {
    question.returnValue = "";
    try {
      const { where } = await ask(base, { method: "DELETE" });
      say(`${title.textContent} was moved to ${where}`);
      location.hash = "#runs";
    } catch (error) {
      line.textContent = inWords(error);
      line.hidden = false;
    }
  }

  async function use() {
    try {
      again(draftOf(await ask(`${base}/job`)));
    } catch (error) {
      line.textContent = inWords(error);
      line.hidden = false;
    }
  }

  async function sheets() {
    refused.hidden = true;
    asking = true;
    ordering(null);
    try {
      const typed = dpi.value.trim();
      await post(`${base}/sheets`, { shop: shop.value, dpi: typed ? (Number.isFinite(Number(typed)) ? Number(typed) : typed) : null });
      say(`Making the files for ${shop.value}`);
    } catch (error) {
      refused.textContent = inWords(error);
      refused.hidden = false;
    }
    asking = false;
    await look();
  }

  /** The button says what happens. @param {any} run  null: it was just pressed */
  function ordering(run) {
    const making = asking || Object.values(run?.sheets ?? {}).some((/** @type {any} */ one) => one.state === "making");
    order.disabled = making;
    order.textContent = making ? "Making the files …" : "Make the files";
  }

  /** @param {unknown} error */
  function inWords(error) {
    return worded(String(/** @type {Error} */ (error).message), new Set(["dpi"]));
  }

  async function look() {
    clearTimeout(timer);
    if (!open) return;
    let wait = 3000;
    try {
      const run = await ask(base);
      if (!open) return;
      show(run);
      const busy = ["waiting", "running", "stopping"].includes(run.state) || Object.values(run.sheets).some((/** @type {any} */ one) => one.state === "making");
      wait = document.hidden ? 4000 : busy ? 400 : 6000;
    } catch (error) {
      unknown(error);
    }
    timer = setTimeout(() => void look(), wait);
  }

  /** Nothing is known of it now: nothing that was true before may be read as if it still were. @param {unknown} error */
  function unknown(error) {
    line.textContent = inWords(error);
    line.className = "wrong";
    line.hidden = false;
    badge.textContent = "no answer";
    badge.dataset.state = "away";
    words.textContent = "What was solved so far is kept.";
    left.textContent = "";
    bar.hidden = true;
    document.title = `${title.textContent} · mlsolve studio`;
  }

  /** @param {any} run */
  function show(run) {
    const now = run.progress;
    title.textContent = run.title;
    document.title = run.state === "running" ? `${Math.round(100 * run.done)} % · ${run.title} · mlsolve studio` : `${run.title} · mlsolve studio`;
    badge.textContent = STATES[/** @type {keyof typeof STATES} */ (run.state)];
    badge.dataset.state = run.state;
    if (state && state !== run.state) say(`${run.title} is ${badge.textContent}`);
    state = run.state;
    pictures(run);
    const busy = run.state === "running" || run.state === "stopping";
    bar.hidden = !busy && run.state !== "waiting";
    bar.value = run.done;
    words.textContent = progressWords(run, now);
    left.textContent = busy && now.seconds_left !== undefined ? `${Math.round(100 * run.done)} %, about ${duration(now.seconds_left)} left` : "";
    draw(run);
    line.hidden = !run.line;
    line.textContent = worded(run.line, new Set(["dpi", ...found.fields.map((/** @type {any} */ one) => one.name)]));
    line.className = run.state === "failed" ? "wrong" : "note";
    notes.replaceChildren(...run.warnings.map((/** @type {string} */ one) => make("p.note", {}, one)));
    stop.hidden = !["waiting", "running", "stopping"].includes(run.state);
    remove.hidden = !["stopped", "finished", "failed"].includes(run.state);
    stop.disabled = run.state === "stopping";
    stop.textContent = run.state === "waiting" ? "Take it out of the line" : run.state === "stopping" ? "Stopping …" : "Stop";
    go.hidden = !["stopped", "failed"].includes(run.state);
    go.textContent = run.state === "failed" ? "Try again" : "Continue";
    table.classList.toggle("main", run.state === "finished");
    table.hidden = !run.saved || !run.table;
    if (run.table) table.href = run.table;
    // Only once, so that what someone has selected stays selected.
    if (toml.textContent !== run.toml) toml.textContent = run.toml;
    repeats.textContent = REPEATS[/** @type {keyof typeof REPEATS} */ (run.state)];
    ordering(run);
    const file = `${run.folder}/job.toml`, quoted = /^[\p{L}\d_./~-]+$/u.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`;
    if (!command.textContent) command.replaceChildren(`mlsolve run ${quoted} `, make("span.unbroken", {}, "--out again"));
    results.hidden = all.hidden = !run.saved;
    shops.hidden = run.state !== "finished";
    outcome(run);
  }

  /** @param {any} run @param {any} now */
  function progressWords(run, now) {
    if (run.state === "waiting") return run.place > 1 ? `${run.place - 1} before it in line.` : "Next in line.";
    if (run.state === "finished") return "Finished: everything is saved.";
    if (run.state === "failed") return "It was refused:";
    if (run.state === "stopped") return run.saved ? "Stopped: the best so far is saved. Continue for the whole." : "Stopped. It continues where it was left.";
    if (now.event === "compile") return "Compiling the kernels, once for this version: some 20 s.";
    const stage = STAGES[/** @type {keyof typeof STAGES} */ (now.stage)] ?? "Starting";
    if (now.stage !== "solving") return `${stage} …`;
    const tiles = now.tiles > 1 ? `, round ${now.round} of ${now.rounds}, tile ${Math.min(now.tile + 1, now.tiles)} of ${now.tiles}` : now.iteration ? `, iteration ${now.iteration} of ${now.iterations}` : "";
    return `Level ${now.level} of ${now.levels}${tiles}`;
  }

  /** What is done until the first picture of the stack is there. @param {any} run */
  function waitingWords(run) {
    if (run.state === "waiting") return "In line: one run is solved at a time.";
    if (run.state === "failed") return "There is no picture of this stack.";
    if (run.state === "stopped") return "It was stopped before there was a picture.";
    if (run.progress.event === "compile") return "Once for this version the kernels are compiled, which takes some 20 s. Then the stack appears here.";
    if (run.progress.stage === "solving") return "The coarsest level is solved first; when it is done, the stack appears here.";
    return "The pictures are read and fitted to the sheets; the stack appears here when its first level is solved.";
  }

  /** The stacks: as they were saved, or as they grow. @param {any} run */
  function pictures(run) {
    const stacks = run.files.filter((/** @type {any} */ one) => one.kind === "stack");
    const whole = run.state === "finished" && stacks.length > 0;
    const key = whole ? `whole ${stacks.length}` : run.pictures && run.previews ? `growing ${run.previews} ${run.pictures}` : "none";
    if (key === looks) {
      const waits = growing.querySelector("#waiting");
      if (waits && waits.textContent !== waitingWords(run)) waits.textContent = waitingWords(run);
      return;
    }
    looks = key;
    const names = run.titles;
    const count = whole ? stacks.length : key === "none" ? 1 : run.pictures;
    const old = [...growing.querySelectorAll("img")];
    const figures = Array.from({ length: count }, (_, at) => {
      const caption = names[at] ?? run.title;
      const lit = make("div.lit");
      if (key === "none") {
        lit.append(make("p.waiting", { id: "waiting" }));
      } else {
        const src = whole ? `${base}/prints/${stacks[at].name}` : `${base}/previews/stack-${at + 1}.png?v=${run.previews}`;
        const image = make("img", { alt: `The stack on the light box, ${caption}${whole ? "" : ", so far"}`, src });
        image.addEventListener("load", () => image.classList.toggle("small-picture", image.naturalWidth < 240));
        lit.append(image);
        if (old[at]) {
          // The last one stays until the next is there.
          image.hidden = true;
          lit.append(old[at]);
          image.addEventListener("load", () => { image.hidden = false; old[at].remove(); });
        }
      }
      return make("figure", {}, lit, make("figcaption", {}, whole ? `${caption}, as the light box shows it` : caption));
    });
    growing.replaceChildren(...figures);
    const waits = growing.querySelector("#waiting");
    if (waits) waits.textContent = waitingWords(run);
  }

  /** How like the picture the stack was, over the run. @param {any} run */
  function draw(run) {
    const points = run.trail;
    const done = run.state === "finished" && run.result;
    const { ssim, guides } = run.progress;
    const shown = points.length > 1;
    plot.hidden = !shown;
    // While it is solved this is what the solver sees; the files are scored when they are written.
    trailWords.textContent = done || ssim === undefined || ssim === null ? "" : `While solving: likeness to ${run.titles.length > 1 ? "the first picture" : "the picture"} (SSIM) ${ssim.toFixed(3)}${guides ? `, of the sheets to their guides ${guides.toFixed(2)}` : ""}`;
    scored(done ? run : null);
    if (!shown) return;
    trail.setAttribute("aria-label", done ? "Likeness to the picture (SSIM) over the run" : trailWords.textContent);
    const path = points.map((/** @type {[number, number]} */ [done, value], /** @type {number} */ at) => `${at ? "L" : "M"}${(100 * done).toFixed(2)} ${(100 - 100 * Math.max(0, value)).toFixed(2)}`).join("");
    trail.innerHTML = "";
    for (const y of [0, 50, 100]) {
      const rule = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [key, value] of Object.entries({ x1: 0, x2: 100, y1: y, y2: y })) rule.setAttribute(key, String(value));
      trail.append(rule);
    }
    const curve = document.createElementNS("http://www.w3.org/2000/svg", "path");
    curve.setAttribute("d", path);
    trail.append(curve);
  }

  /** The scores of the files, of every picture. @param {any} run  null: there are none */
  function scored(run) {
    const key = JSON.stringify(run?.result ?? null);
    if (scores.dataset.of === key) return;
    scores.dataset.of = key;
    if (!run) return scores.replaceChildren();
    const { arrangements, guides } = run.result, decibels = (/** @type {number | null} */ psnr) => (psnr === null ? "equal" : `${psnr.toFixed(1)} dB`);
    scores.replaceChildren(make("p.small.quiet", {}, "Scores of the files, as in result.json: SSIM, of which 1 is the same picture."),
      ...arrangements.map((/** @type {any} */ one, /** @type {number} */ at) => {
        const rows = [["Likeness", `${one.ssim.toFixed(3)}, ${decibels(one.psnr)}`]];
        // Of one sheet alone to this picture; with one sheet that is the stack.
        if (one.leak?.length > 1) rows.push(["A sheet alone, at most", Math.max(...one.leak).toFixed(3)]);
        for (const off of one.misaligned ?? []) rows.push([`Off by ${off.pixels} px`, (off.ssim_moved ?? off.ssim).toFixed(3)]);
        return make("div", { role: "group", "aria-label": run.titles[at] ?? run.title },
          arrangements.length > 1 ? make("h3", {}, run.titles[at] ?? `Picture ${at + 1}`) : null,
          make("dl.facts", {}, ...rows.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)])));
      }),
      guides.length ? make("dl.facts", {}, make("dt", {}, "Sheets to their guides"), make("dd", {}, `${Math.min(...guides).toFixed(2)} to ${Math.max(...guides).toFixed(2)}`)) : "");
  }

  /** @param {any} run */
  function outcome(run) {
    const key = JSON.stringify([run.files, run.sheets, run.state, run.result?.seconds]);
    if (key === listed) return;
    listed = key;
    const own = run.files.filter((/** @type {any} */ one) => one.kind === "layer");
    const scores = run.result?.guides ?? [];
    layers.replaceChildren(...own.map((/** @type {any} */ one, /** @type {number} */ at) => {
      const score = scores[at];
      return make("figure", {},
        one.name.endsWith(".png") && one.bytes < 4e7 ? make("img", { src: `${base}/prints/${one.name}?t=${run.result?.seconds ?? 0}`, alt: `Sheet ${at + 1} alone`, loading: "lazy" }) : null,
        make("figcaption", {}, make("span", {}, `Sheet ${at + 1}`),
          make("a", { href: `${base}/prints/${one.name}?save`, download: `${name}-${one.name}`, "aria-label": `Save ${one.name}` }, "Save"),
          score ? make("span.hint", {}, `like its guide ${score.toFixed(2)}`) : null));
    }));
    files.replaceChildren(...run.files.map((/** @type {any} */ one) => item(`${base}/prints/${one.name}?save`, one)));
    made.replaceChildren(...Object.entries(run.sheets).map(([shopName, /** @type {any} */ one]) => make("div", {},
      make("h3", {}, shopName),
      one.state === "making" ? make("p.small.quiet", {}, `Making the files: ${Math.round(100 * one.done)} % …`) : null,
      one.state === "making" ? make("progress", { max: 1, value: one.done, "aria-label": `Making the files for ${shopName}` }) : null,
      one.line ? make("p.wrong", { role: "alert" }, worded(one.line, new Set(["dpi"]))) : null,
      ...one.notes.map((/** @type {string} */ note) => make("p.note", {}, note)),
      one.state === "made" ? make("ul.files", {}, ...one.files.map((/** @type {any} */ file) => item(`${base}/sheets-${shopName}/${file.name}?save`, file))) : null)));
  }

  /** @param {string} href @param {any} one */
  function item(href, one) {
    return make("li", {}, make("a", { href, download: `${name}-${one.name}` }, one.name), make("span.quiet", {}, bytes(one.bytes)));
  }

  tellAbout();
  void look();
  const element = make("div", {}, make("div.run-head", {}, title, badge),
    make("div.run", {}, growing, status, make("div.steps", {}, results, shops, all), job));
  return { element, close: () => { open = false; clearTimeout(timer); document.title = "mlsolve studio"; } };
}

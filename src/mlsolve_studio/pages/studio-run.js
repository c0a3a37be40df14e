// @ts-check
/** One run: the stack as it grows, stop and continue, and what comes of it. */
import { ask, post } from "./studio-ask.js";
import { draftOf } from "./studio-draft.js";
import { bytes, card, duration, field, make, say } from "./studio-make.js";

export const STATES = {
  waiting: "in line", running: "being solved", stopping: "stopping", stopped: "stopped", finished: "finished", failed: "refused",
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
  const trailWords = make("p.small.quiet");
  const line = make("p.wrong", { id: "line", hidden: true });
  const notes = make("div.stackwise");
  const stop = make("button", { type: "button", id: "stop", onclick: () => void act("stop") }, "Stop");
  const go = make("button.main", { type: "button", id: "resume", onclick: () => void act("resume") }, "Continue");
  const table = make("a.button.main", { id: "table", hidden: true }, "Lay it on the light table");
  const copy = make("button", { type: "button", onclick: () => void use() }, "Use these settings again");
  const toml = make("pre", { tabIndex: 0, "aria-label": "job.toml" });
  const command = make("pre", { tabIndex: 0, "aria-label": "The command" });
  const layers = make("div.layers");
  const files = make("ul.files");
  const made = make("div.stackwise");
  const shop = make("select", {}, ...found.shops.map((/** @type {any} */ one) => make("option", { value: one.name }, one.name)));
  const about = make("p.hint");
  const dpi = make("input", { type: "number", min: 1, max: 10000, step: "any", placeholder: "as the run says" });
  const order = make("button", { type: "button", id: "make-sheets", onclick: () => void sheets() }, "Make the files");
  const refused = make("p.wrong", { hidden: true, role: "alert" });
  shop.addEventListener("change", tellAbout);

  const status = card("status", "Progress", "", make("div", { className: "stackwise" }, bar, words, left, trail, trailWords, line, notes, make("div.row", {}, stop, go, table, copy)));
  const results = card("layers", "Sheets", "To print, one on each sheet of film.", layers);
  const shops = card("shops", "For a print shop", "Files with bleed and marks, and the pages that say how to assemble them.",
    make("div", { className: "stackwise" }, make("div.fields", {}, field("Shop", shop), field("Pixels per inch", dpi)), about, make("div.row", {}, order), refused, made));
  const all = card("files", "Files", "", files);
  const job = card("job", "job.toml", "", make("div", { className: "stackwise" },
    make("p.small.quiet", {}, "Repeats this run to the byte:"), command, toml,
    make("div.row", {}, make("a.button", { href: `${base}/job.toml`, download: "job.toml" }, "Save job.toml"))));

  function tellAbout() {
    about.textContent = found.shops.find((/** @type {any} */ one) => one.name === shop.value)?.about ?? "";
  }

  /** @param {string} what */
  async function act(what) {
    stop.disabled = go.disabled = true;
    try {
      await post(`${base}/${what}`);
    } catch (error) {
      line.textContent = String(/** @type {Error} */ (error).message);
      line.hidden = false;
    }
    stop.disabled = go.disabled = false;
    await look();
  }

  async function use() {
    try {
      again(draftOf(await ask(`${base}/job`)));
    } catch (error) {
      line.textContent = String(/** @type {Error} */ (error).message);
      line.hidden = false;
    }
  }

  async function sheets() {
    refused.hidden = true;
    try {
      await post(`${base}/sheets`, { shop: shop.value, dpi: dpi.value ? Number(dpi.value) : null });
      say(`Making the files for ${shop.value}`);
    } catch (error) {
      refused.textContent = String(/** @type {Error} */ (error).message);
      refused.hidden = false;
    }
    await look();
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
      line.textContent = String(/** @type {Error} */ (error).message);
      line.hidden = false;
    }
    timer = setTimeout(() => void look(), wait);
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
    line.textContent = run.line;
    line.className = run.state === "failed" ? "wrong" : "note";
    notes.replaceChildren(...run.warnings.map((/** @type {string} */ one) => make("p.note", {}, one)));
    stop.hidden = !["waiting", "running", "stopping"].includes(run.state);
    stop.disabled = run.state === "stopping";
    stop.textContent = run.state === "waiting" ? "Take it out of the line" : run.state === "stopping" ? "Stopping …" : "Stop";
    go.hidden = !["stopped", "failed"].includes(run.state);
    go.textContent = run.state === "failed" ? "Try again" : "Continue";
    table.classList.toggle("main", run.state === "finished");
    table.hidden = !run.saved || !run.table;
    if (run.table) table.href = run.table;
    toml.textContent = run.toml;
    command.textContent = `mlsolve run ${run.folder}/job.toml --out again`;
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

  /** The stacks: as they were saved, or as they grow. @param {any} run */
  function pictures(run) {
    const stacks = run.files.filter((/** @type {any} */ one) => one.kind === "stack");
    const whole = run.state === "finished" && stacks.length > 0;
    const key = whole ? `whole ${stacks.length}` : run.pictures && run.previews ? `growing ${run.previews} ${run.pictures}` : "none";
    if (key === looks) return;
    looks = key;
    const names = run.titles;
    const count = whole ? stacks.length : key === "none" ? 1 : run.pictures;
    const old = [...growing.querySelectorAll("img")];
    const figures = Array.from({ length: count }, (_, at) => {
      const caption = names[at] ?? run.title;
      const lit = make("div.lit");
      if (key === "none") {
        lit.append(make("p.waiting", {}, "The stack appears here as it is solved."));
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
  }

  /** How like the picture the stack was, over the run. @param {any} run */
  function draw(run) {
    const points = run.trail;
    const ssim = run.result?.arrangements?.[0]?.ssim ?? run.progress.ssim;
    const shown = points.length > 1;
    trail.style.display = shown ? "" : "none";
    trailWords.textContent = ssim === undefined || ssim === null ? "" : `Likeness to the picture (SSIM) ${ssim.toFixed(3)}${run.progress.guides ? `, of the sheets to their guides ${run.progress.guides.toFixed(2)}` : ""}`;
    if (!shown) return;
    trail.setAttribute("aria-label", trailWords.textContent);
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
      one.state === "making" ? make("progress", { max: 1, value: one.done, "aria-label": `Making the files for ${shopName}` }) : null,
      one.line ? make("p.wrong", { role: "alert" }, one.line) : null,
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

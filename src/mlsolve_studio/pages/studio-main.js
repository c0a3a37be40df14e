// @ts-check
/** The studio's page: which view is shown. */
import { ask, isHere, onReach } from "./studio-ask.js";
import { make, refill, say } from "./studio-make.js";
import { newStack } from "./studio-new.js";
import { STATES, oneRun } from "./studio-run.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
let close = () => {};
/** @type {import("./studio-draft.js").Draft | null} */
let given = null;
let first = true;

onReach((reach) => {
  const gone = /** @type {HTMLElement} */ (document.getElementById("gone"));
  // What it says is true until it is here again, and nothing can be pressed meanwhile.
  main.inert = reach !== "here";
  gone.hidden = reach === "here";
  gone.textContent = reach === "stranger"
    ? "The studio does not know this page: open the address that mlsolve studio prints."
    : "The studio does not answer. Start it again with mlsolve studio, on the same folder: this page then goes on by itself.";
  if (reach === "here") return say("The studio is here again");
  setTimeout(knock, 1000);
});

/** Ask until the studio answers. */
async function knock() {
  await ask("/api/runs").catch(() => null);
  if (!isHere()) setTimeout(knock, 1000);
  else if (!main.dataset.ready || main.querySelector("#unread")) void show();
}

async function show() {
  close();
  close = () => {};
  const [view, name] = (location.hash.slice(1) || "new").split("/");
  for (const link of document.querySelectorAll("[data-view]")) {
    if (/** @type {HTMLElement} */ (link).dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    const found = await ask("/api/studio");
    if (view === "runs") {
      const list = make("ul.runs");
      main.replaceChildren(make("div", {}, make("h1", { tabIndex: -1 }, "Runs"),
        make("p.quiet", {}, found.runs.length ? `Saved in ${found.folder}` : "There are none yet."), list));
      runs(list, found.runs);
      const timer = setInterval(async () => {
        if (!document.hidden) runs(list, await ask("/api/runs").catch(() => []));
      }, 2000);
      close = () => clearInterval(timer);
    } else if (view === "run") {
      const run = oneRun(decodeURIComponent(name ?? ""), found, (draft) => { given = draft; location.hash = "#new"; });
      close = run.close;
      main.replaceChildren(run.element);
    } else {
      main.replaceChildren(newStack(found, given));
      given = null;
    }
  } catch (error) {
    main.replaceChildren(make("p.wrong", { role: "alert", id: "unread" }, String(/** @type {Error} */ (error).message)));
  }
  main.dataset.ready = view;
  scrollTo(0, 0);
  if (!first) main.querySelector("h1")?.focus({ preventScroll: true });
  first = false;
}

let listed = "";

/** @param {HTMLElement} list @param {any[]} all */
function runs(list, all) {
  if (list.childElementCount && JSON.stringify(all) === listed) return;
  if (list.childElementCount && !all.length) return;
  listed = JSON.stringify(all);
  refill(list, ...all.map((run) => {
    const picture = run.saved ? `/api/runs/${run.name}/prints/stack${run.pictures > 1 ? "-1" : ""}.png` : run.previews ? `/api/runs/${run.name}/previews/stack-1.png?v=${run.previews}` : "";
    return make("li", {}, make("a", { href: `#run/${run.name}` },
      make("div.lit", {}, picture ? make("img", { src: picture, alt: "", loading: "lazy" }) : make("span.waiting", {}, "nothing yet")),
      make("div.name", {}, make("span", {}, run.title), make("span.state", { "data-state": run.state }, STATES[/** @type {keyof typeof STATES} */ (run.state)])),
      run.size || run.ssim.length ? make("span.small", {}, [run.size ? run.size.join(" × ") : "", run.ssim.length ? `SSIM ${run.ssim.map((/** @type {number} */ one) => one.toFixed(3)).join(", ")}` : ""].filter(Boolean).join(" · ")) : null,
      make("span.small.quiet", {}, `${run.name.split("-")[0].replace(/^0+/, "No. ")} · ${new Date(1000 * run.created).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}`)));
  }));
}

addEventListener("hashchange", () => void show());
void show();

// SSIM and PSNR of what lies on the box, to the target: in a worker, and no more often than it can.

/** As SCORED in light_table/stack.py. */
const LONGEST = 1024;
const PAUSE = 160;
/** Milliseconds after which scores that are measured say so. */
const LATE = 400;

export class Scoring {
  /** @param {import("./table.js").LightTable} page */
  constructor(page) {
    this.page = page;
    this.turn = 0;
    this.busy = false;
    this.again = false;
    this.timer = 0;
    /** Says that scores are measured, if it takes long. @type {ReturnType<typeof setTimeout>|undefined} */
    this.late = undefined;
    /**
     * The target as it was drawn last, and what scores need besides; see Renderer.drawn.
     * @type {{of: WebGLTexture|null, pixels: Uint8Array, fine: Uint8Array|null, mask: Uint8Array|null}|null}
     */
    this.target = null;
    /** @type {{ssim: number, psnr: number}|null} */
    this.found = null;
    this.text = /** @type {HTMLElement} */ (document.getElementById("scores"));
    this.worker = workerOf();
    if (this.worker) this.worker.onmessage = ({ data }) => this.#take(data);
  }

  /** Asks for the scores of what is seen now. */
  wanted() {
    if (!this.worker || !this.page.target) {
      this.text.textContent = "";
      return;
    }
    this.again = true;
    this.text.classList.add("stale");
    this.late ??= setTimeout(() => {
      this.text.textContent = "To the target: measuring …";
    }, this.found ? LATE : 0);
    if (this.busy) return;
    // While sheets move, again and again; where frames take long, only once they rest.
    if (this.timer && !this.page.hurried) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.#measure();
    }, PAUSE);
  }

  async #measure() {
    if (this.busy) return;
    this.busy = true;
    this.again = false;
    const page = this.page, [width, height] = page.table.size;
    const share = Math.min(1, LONGEST / Math.max(width, height));
    // Whether this is the picture as it was solved, which result.json has scores of.
    this.asSolved = page.table.shown >= 0 && page.table.asSolved;
    /** @type {[number, number]} */
    const size = [Math.round(width * share), Math.round(height * share)];
    const frame = page.frameAt(performance.now());
    // The whole stack, unlike on the canvas.
    Object.assign(frame, {
      sheets: page.table.seen(performance.now()), size: page.table.size, view: [0, 0, share], box: [-1, -1, width + 1, height + 1],
      corner: 0, samples: Math.min(4, Math.ceil(1 / share - 0.01)), split: null, aside: [0, 0],
      tiles: frame.tiles ? { pages: false, halvings: 0 } : undefined,
    });
    page.renderer.target = page.target;
    const one = await page.renderer.drawn(frame, size);
    if (this.target?.of !== page.target) {
      const of = page.target, beside = page.scored.get(page.table.arrangement);
      /** @param {WebGLTexture} texture */
      const drawn = (texture) => {
        page.renderer.target = texture;
        return page.renderer.drawn({ ...frame, split: [0, 0, size[0], size[1]] }, size);
      };
      if (!of) {
        this.busy = false;
        return;
      }
      this.target = {
        of, pixels: await drawn(of), fine: beside?.fine ? await drawn(beside.fine) : null, mask: beside?.mask ? await drawn(beside.mask) : null,
      };
    }
    this.turn += 1;
    this.share = share;
    this.worker?.postMessage({
      turn: this.turn, one, other: this.target.pixels, width: size[0], height: size[1], round: page.manifest.shape === "disc",
      fine: this.target.fine, mask: this.target.mask,
    });
  }

  /** @param {{ssim: number, psnr: number}} data */
  #take(data) {
    this.busy = false;
    clearTimeout(this.late);
    this.late = undefined;
    this.found = { ssim: data.ssim, psnr: data.psnr };
    const psnr = Number.isFinite(data.psnr) ? `${data.psnr.toFixed(1)} dB` : "equal";
    this.text.innerHTML = "";
    const strong = document.createElement("b");
    strong.textContent = data.ssim.toFixed(3);
    this.text.append("To the target: SSIM ", strong, `, ${psnr}`);
    this.text.classList.remove("stale");
    const { size, full, arrangements } = this.page.manifest, longest = Math.round(Math.max(...size) * (this.share ?? 1));
    if (longest < Math.max(...full)) {
      const print = arrangements[this.page.table.arrangement].ssim;
      this.text.append(`, reduced to ${longest} pixels`, this.asSolved && print !== null ? `; the print scores ${print.toFixed(3)}` : "");
    }
    if (this.again) this.wanted();
    else this.page.say(`SSIM ${data.ssim.toFixed(3)}, ${psnr}`, true);
  }
}

/** The worker, from a file or from the page itself; null where there can be none: then there are no scores. */
function workerOf() {
  try {
    const held = document.getElementById("scores-worker");
    if (!held) return new Worker(new URL("./scores-worker.js", import.meta.url), { type: "module" });
    const address = URL.createObjectURL(new Blob([held.textContent ?? ""], { type: "text/javascript" }));
    return new Worker(address);
  } catch {
    return null;
  }
}

// The page of the light table: what people do, and what they see of it.

import { Camera } from "./camera.js";
import { opened } from "./data.js";
import { Table } from "./desk.js";
import { flipped, inverse, normal } from "./moves.js";
import { Pointers } from "./pointers.js";
import { Renderer } from "./renderer.js";
import { Scoring } from "./scoring.js";
import { Tiles } from "./tiles.js";

/** @param {string} name @returns {any} */
const find = (name) => document.getElementById(name);
const KNOBS = ["box", "exposure", "room", "gap", "across", "down", "off"];
const COMPARE = ["none", "beside", "slider"];
/** @type {Record<string, string>} */
const WORDS = { none: "hidden", beside: "beside the stack", slider: "under the slider" };

/** @typedef {import("./moves.js").Pose} Pose */
/** The page, as its other modules know it. @typedef {Page} LightTable */

class Page {
  /** @param {import("./data.js").Source} source */
  constructor(source) {
    this.source = source;
    this.manifest = source.manifest;
    this.table = new Table(this.manifest);
    this.camera = new Camera(this.table.size, 1 / this.manifest.scale);
    /** @type {HTMLCanvasElement} */
    this.canvas = find("canvas");
    /** Pixels of the canvas a pixel of the page. */
    this.ratio = 1;
    this.renderer = new Renderer(this.canvas, {
      size: this.table.size, count: this.manifest.sheets.length, inks: this.manifest.inks,
      tiled: Boolean(this.manifest.tiles),
    });
    this.compare = "none";
    this.divided = 0.5;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.waiting = false;
    /** The last frame: milliseconds since the one before and for itself, bytes uploaded for it. */
    this.frame = { between: 0, taken: 0, uploaded: 0, drawn: 0 };
    /** By the number of the arrangement. @type {Map<number, WebGLTexture|null>} */
    this.targets = new Map();
    /** What scores need besides. @type {Map<number, {fine: WebGLTexture|null, mask: WebGLTexture|null}>} */
    this.scored = new Map();
    this.scoring = new Scoring(this);
    this.pointers = new Pointers(this);
    /** @type {Tiles|null} */
    this.tiles = null;
  }

  async begin() {
    document.title = find("title").textContent = this.manifest.name;
    const back = find("way-back");
    back.hidden = !this.manifest.back;
    if (this.manifest.back) back.href = this.manifest.back;
    document.body.classList.toggle("round", this.manifest.shape === "disc");
    this.#list();
    this.#listen();
    this.table.still = this.calm.matches;
    this.calm.addEventListener("change", () => { this.table.still = this.calm.matches; });
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
    this.#resize();
    await Promise.all(this.manifest.sheets.map(async (sheet, number) => {
      const picture = await this.source.picture(sheet.picture);
      this.renderer.takeSheet(number, picture);
      this.#thumbnail(number, picture);
      picture.close();
    }));
    if (this.manifest.tiles) {
      this.tiles = new Tiles(this);
    }
    await this.#wantTarget();
    document.body.dataset.ready = "yes";
    this.draw();
    this.show();
  }

  // What is seen.

  #resize() {
    const { canvas } = this, ratio = Math.min(window.devicePixelRatio || 1, 3);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(1, Math.round(side * ratio)));
    this.ratio = width / Math.max(1, canvas.clientWidth);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.camera.resize([width, height], this.#part());
    this.draw();
  }

  /** @returns {[number, number]} */
  #part() {
    if (this.compare !== "beside" || !this.target) return [1, 1];
    return this.canvas.width >= this.canvas.height ? [0.5, 1] : [1, 0.5];
  }

  get target() {
    return this.targets.get(this.table.arrangement) ?? null;
  }

  /** Asks for a frame; there is one at most for each that the screen shows. */
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((now) => {
      this.waiting = false;
      this.paint(now);
    });
  }

  /** Draws now. @param {number} now milliseconds */
  paint(now) {
    const moves = this.table.advance(now), begun = performance.now();
    const frame = this.frameAt(now);
    this.renderer.target = this.target;
    const uploaded = this.renderer.draw(frame);
    this.frame = {
      between: now - (this.painted ?? now), taken: performance.now() - begun, uploaded, drawn: this.frame.drawn + 1,
    };
    this.painted = now;
    this.#outline(now);
    this.#tell();
    this.scoring.wanted();
    if (!moves) this.tiles?.wanted();
    if (moves) this.#hurry();
    if (moves) this.draw();
  }

  /** While frames take long and something moves, edges may be rough; they are drawn well when it rests. */
  #hurry() {
    if (!this.hurried && !(this.frame.between > 40 && this.frame.between < 5000)) return;
    this.hurried = true;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.hurried = false;
      this.draw();
    }, 200);
  }

  /** What the canvas shows at `now`. @param {number} now @returns {import("./renderer.js").Frame} */
  frameAt(now) {
    const camera = this.camera, level = this.tiles?.level ?? this.table.held, corner = camera.corner;
    const grow = level.scale / this.table.held.scale, zoom = camera.zoom / grow;
    const box = camera.box.map((side) => side * grow);
    const split = this.#split();
    return {
      sheets: this.table.seen(now, level), size: level.size, view: [corner[0], corner[1], zoom], box,
      corner: this.manifest.shape === "disc" ? (box[2] - box[0]) / 2 : camera.rim * grow * 0.55,
      ...this.table.light, table: this.#tableLight(), samples: this.#samples(zoom),
      split, aside: split && this.compare === "beside" ? [split[0], split[1]] : [0, 0],
      tiles: this.tiles?.frame,
    };
  }

  /**
   * Places a side that are averaged for a pixel of the canvas: enough for all pixels of the stack that it covers.
   * @param {number} zoom
   */
  #samples(zoom) {
    if (zoom < 1) return Math.min(this.hurried ? 2 : 4, Math.ceil(1 / zoom - 0.01));
    // Pixels enlarged by no whole number have edges in between.
    return Number.isInteger(zoom) || zoom > 4 || this.hurried ? 1 : 2;
  }

  #split() {
    if (!this.target || this.compare === "none") return null;
    const { width, height } = this.canvas;
    if (this.compare === "slider") return [Math.round(this.divided * width), 0, width, height];
    const part = this.#part();
    return [part[0] < 1 ? Math.round(width / 2) : 0, part[1] < 1 ? Math.round(height / 2) : 0, width, height];
  }

  #tableLight() {
    const found = getComputedStyle(find("stage")).backgroundColor.match(/[\d.]+/g) ?? ["0", "0", "0"];
    return found.slice(0, 3).map((code) => {
      const value = Number(code) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
  }

  /** @param {number} now milliseconds */
  #outline(now) {
    const outline = find("outline"), number = this.table.selected, sheet = this.table.sheets[number];
    outline.hidden = !sheet || sheet.here === 0;
    if (outline.hidden) return;
    const found = this.table.seen(now).find((one) => one.sheet === number);
    if (!found) return;
    const [p, q, r, s, t, u] = inverse(found.map), [width, height] = this.table.size;
    // From edges of pixels on the sheet to pixels of the page.
    const zoom = this.camera.zoom / this.ratio, corner = this.camera.corner.map((at) => at / this.ratio);
    /** @param {number} column @param {number} row */
    const x = (column, row) => corner[0] + (s * row + t * column + u + 0.5) * zoom;
    /** @param {number} column @param {number} row */
    const y = (column, row) => corner[1] + (p * row + q * column + r + 0.5) * zoom;
    outline.style.width = `${width * zoom}px`;
    outline.style.height = `${height * zoom}px`;
    outline.style.transform = `matrix(${t},${q},${s},${p},${x(-0.5, -0.5)},${y(-0.5, -0.5)})`;
    outline.classList.toggle("round", this.manifest.shape === "disc");
  }

  /** Shows the outline of the chosen sheet for a while. */
  point() {
    find("outline").classList.add("shown");
    clearTimeout(this.pointing);
    this.pointing = setTimeout(() => find("outline").classList.remove("shown"), 1500);
  }

  #tell() {
    const frames = find("frames");
    if (frames.hidden) return;
    const { between, taken, uploaded } = this.frame;
    const since = between < 1000 ? `${between.toFixed(1)} ms since the last frame` : "the first frame after a rest";
    frames.textContent = `${since}; ${taken.toFixed(1)} ms of script to draw it; ${uploaded} bytes uploaded to the graphics`;
  }

  // What can be done.

  #list() {
    const names = this.manifest.arrangements.map((one) => one.name), pictures = find("pictures");
    names.forEach((name, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => this.arrange(number));
      pictures.append(button);
    });
    this.manifest.sheets.forEach((sheet, number) => {
      const item = document.createElement("li"), button = document.createElement("button");
      const small = document.createElement("canvas"), label = document.createElement("span");
      label.className = "number";
      label.textContent = String(number + 1);
      button.type = "button";
      button.title = sheet.name;
      button.append(small, label);
      button.addEventListener("click", () => this.choose(this.table.selected === number ? -1 : number));
      item.append(button);
      find("sheets").append(item);
    });
  }

  /** @param {number} number @param {ImageBitmap} picture */
  #thumbnail(number, picture) {
    const canvas = find("sheets").children[number].querySelector("canvas"), side = 144;
    const scale = Math.min(1, side / Math.max(picture.width, picture.height));
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  }

  #listen() {
    for (const name of KNOBS) find(name).addEventListener("input", () => this.turnKnob(name, Number(find(name).value)));
    find("turn").addEventListener("input", () => this.turnTo(Number(find("turn").value)));
    find("adapts").addEventListener("change", () => {
      this.table.adapts = find("adapts").checked;
      this.changed();
    });
    for (const [name, does] of Object.entries({
      left: () => this.turnBy(90), right: () => this.turnBy(-90), flip: () => this.flip(), lift: () => this.lift(),
      back: () => this.back(), larger: () => this.zoomBy(1.5), smaller: () => this.zoomBy(1 / 1.5),
      fit: () => this.fit(), actual: () => this.zoomTo(this.camera.finest), help: () => find("keys").showModal(),
    })) find(name).addEventListener("click", does);
    for (const button of find("compare").children) {
      button.addEventListener("click", () => this.compareWith(button.dataset.compare));
    }
    find("show-frames").addEventListener("change", () => {
      find("frames").hidden = !find("show-frames").checked;
      this.draw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    document.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("webglcontextlost", () => complain("the graphics were lost: load the page again"));
    this.#prepareKnobs();
    const full = this.manifest.full.join("×"), own = this.manifest.size.join("×");
    find("about").textContent = full === own || this.manifest.tiles ? `Sheets of ${full} pixels.` : `Sheets of ${full} pixels, shown as ${own}.`;
  }

  #prepareKnobs() {
    const { dpi, gap, full, view, registration } = this.manifest, side = Math.max(...full);
    // Up to 20 mm where a size is known, else a part of the sheet.
    const most = Math.max(dpi ? (20 / 25.4) * dpi : side / 20, ...gap.map((one) => 2 * one));
    Object.assign(find("gap"), { max: String(Math.ceil(most)), step: dpi ? String(Math.max(0.05, dpi / 254)) : "0.5" });
    find("off").max = String(Math.max(8, Math.ceil(Math.max(side / 40, 3 * registration))));
    if (view > 60) for (const name of ["across", "down"]) Object.assign(find(name), { min: String(-view), max: String(view) });
    find("angle-controls").open = gap.length > 0;
    find("compare-controls").hidden = !this.manifest.arrangements.some((one) => one.target);
    const values = { box: 0, exposure: 0, room: Math.round(this.table.room * 100), gap: this.table.gap, across: 0, down: 0, off: 0 };
    for (const [name, value] of Object.entries(values)) find(name).value = String(value);
  }

  /** Lengths in millimetres where the size of the print is known. @param {number} pixels */
  length(pixels) {
    const dpi = this.manifest.dpi;
    return dpi ? `${((pixels / dpi) * 25.4).toFixed(2)} mm` : `${+pixels.toFixed(1)} px`;
  }

  /** @param {string} name @param {number} value */
  turnKnob(name, value) {
    const table = this.table;
    if (name === "box") table.box = value;
    else if (name === "exposure") table.exposure = value;
    else if (name === "room") table.room = value / 100;
    else if (name === "gap") table.gap = value;
    else if (name === "across") table.angles[0] = value;
    else if (name === "down") table.angles[1] = value;
    else table.off = value;
    this.changed();
  }

  /** Shows how everything stands. */
  changed() {
    this.show();
    this.draw();
  }

  show() {
    const table = this.table;
    /** @param {number} value */
    const stops = (value) => `${value > 0 ? "+" : ""}${(+value.toFixed(1)).toString().replace("-", "−")} stops`;
    /** @param {number} value @param {string} one @param {string} other */
    const side = (value, one, other) => (value === 0 ? "straight" : table.gap === 0 ? "no gap to see it by" : `${Math.abs(value)}° from the ${value > 0 ? one : other}`);
    const words = {
      box: `${stops(table.box)}`, exposure: stops(table.exposure), room: `${Math.round(table.room * 100)} % of white`,
      gap: this.length(table.gap), across: side(table.angles[0], "right", "left"), down: side(table.angles[1], "top", "bottom"),
      off: table.off ? this.length(table.off) : "none",
    };
    words.down = words.down.replace("from the top", "from below").replace("from the bottom", "from above");
    for (const [name, text] of Object.entries(words)) {
      const input = find(name);
      input.parentElement.querySelector("output").textContent = text;
      input.setAttribute("aria-valuetext", text);
    }
    const shown = table.shown;
    [...find("pictures").children].forEach((button, number) => {
      button.setAttribute("aria-pressed", String(number === shown));
    });
    [...find("sheets").children].forEach((item, number) => {
      const button = item.firstElementChild, lifted = table.sheets[number].lifted;
      button.setAttribute("aria-pressed", String(table.selected === number));
      button.setAttribute("aria-label", `Sheet ${number + 1}, ${this.manifest.sheets[number].name}: ${this.describe(number)}`);
      button.classList.toggle("lifted", lifted);
    });
    const one = table.selected, sheet = table.sheets[one];
    for (const name of ["left", "right", "flip", "lift", "back"]) find(name).disabled = !sheet;
    find("back").disabled = !sheet || table.isStraight(one);
    find("turn").disabled = !sheet;
    find("turn-knob").hidden = !sheet;
    find("lift").textContent = sheet?.lifted ? "Lay down" : "Lift off";
    find("lift").setAttribute("aria-pressed", String(Boolean(sheet?.lifted)));
    if (sheet) {
      find("turn").value = String(Math.round(sheet.pose.rotate));
      const text = `${+sheet.pose.rotate.toFixed(1)}°`.replace("-", "−");
      find("turn-knob").querySelector("output").textContent = text;
      find("turn").setAttribute("aria-valuetext", text);
    }
    for (const button of find("compare").children) {
      button.setAttribute("aria-pressed", String(button.dataset.compare === this.compare));
    }
    const divider = find("divider");
    divider.hidden = this.compare !== "slider" || !this.target;
    divider.style.left = `${this.divided * 100}%`;
    divider.setAttribute("aria-valuenow", String(Math.round(this.divided * 100)));
    divider.setAttribute("aria-valuetext", `${Math.round(this.divided * 100)} % stack`);
    const seen = table.present.map((number) => number + 1).join(", ");
    this.canvas.setAttribute("aria-label", shown >= 0
      ? `Light box: the sheets show ${this.manifest.arrangements[shown].name}`
      : seen ? `Light box with sheets ${seen}` : "Light box without sheets");
  }

  /** How a sheet lies, in words. @param {number} number */
  describe(number) {
    const { pose, lifted } = this.table.sheets[number], parts = [lifted ? "lifted off" : "on the box"];
    if (pose.flip) parts.push("turned over");
    if (pose.rotate) parts.push(`turned ${+pose.rotate.toFixed(1)}°`);
    const [right, down] = pose.shift, far = (/** @type {number} */ by) => this.length(Math.abs(by));
    if (right) parts.push(`${far(right)} to the ${right > 0 ? "right" : "left"}`);
    if (down) parts.push(`${far(down)} ${down > 0 ? "down" : "up"}`);
    return parts.join(", ");
  }

  /**
   * Says something to those who do not see it; `later`: only if nothing else was said for it.
   * @param {string} text
   */
  say(text, later = false) {
    if (later && text === this.saidLater) return;
    if (later) this.saidLater = text;
    find("said").textContent = later && find("said").textContent ? `${find("said").textContent.split("; ")[0]}; ${text}` : text;
  }

  /** @param {number} number */
  choose(number) {
    this.table.selected = number;
    this.say(number < 0 ? "no sheet chosen" : `sheet ${number + 1}: ${this.describe(number)}`);
    this.point();
    this.changed();
  }

  /**
   * Does something with the chosen sheet, and says how it lies then.
   * @param {(number: number, pose: Pose) => void} does
   */
  #withSheet(does) {
    const number = this.table.selected;
    if (number < 0) return;
    does(number, this.table.sheets[number].pose);
    this.say(`sheet ${number + 1}: ${this.describe(number)}`);
    this.point();
    this.changed();
  }

  /** @param {number} degrees */
  turnBy(degrees, moving = true) {
    this.#withSheet((number, pose) => this.table.pose(number, { ...pose, rotate: normal(pose.rotate + degrees) }, moving));
  }

  /** @param {number} degrees */
  turnTo(degrees) {
    this.#withSheet((number, pose) => this.table.pose(number, { ...pose, rotate: normal(degrees) }));
  }

  flip() {
    this.#withSheet((number, pose) => this.table.pose(number, flipped(pose), true));
  }

  /** @param {number} right @param {number} down */
  slide(right, down) {
    this.#withSheet((number, pose) => this.table.pose(number, { ...pose, shift: [pose.shift[0] + right, pose.shift[1] + down] }));
  }

  lift() {
    this.#withSheet((number) => this.table.lift(number, !this.table.sheets[number].lifted));
  }

  back() {
    this.#withSheet((number) => {
      if (this.table.sheets[number].lifted && this.table.wanted.place.some((one) => one.layer === number + 1)) {
        this.table.lift(number, false);
      }
      this.table.straighten(number);
    });
  }

  /** @param {number} number */
  async arrange(number) {
    this.table.arrange(number, true);
    this.say(`the sheets go where they show ${this.table.wanted.name}`);
    this.changed();
    await this.#wantTarget();
    this.camera.resize([this.canvas.width, this.canvas.height], this.#part());
    this.changed();
  }

  async #wantTarget() {
    const which = this.table.arrangement, { target, fine, mask } = this.table.wanted;
    if (!target || this.targets.has(which)) return;
    this.targets.set(which, null);
    const [seen, beyond, counting] = await Promise.all([target, fine, mask].map(async (address) => {
      if (!address) return null;
      const picture = await this.source.picture(address), texture = this.renderer.targetOf(picture);
      picture.close();
      return texture;
    }));
    this.targets.set(which, seen);
    this.scored.set(which, { fine: beyond, mask: counting });
  }

  /** @param {string} how */
  compareWith(how) {
    this.compare = how;
    this.say(`target ${WORDS[how]}`);
    this.camera.resize([this.canvas.width, this.canvas.height], this.#part());
    this.changed();
  }

  /** @param {number} share */
  divide(share) {
    this.divided = Math.min(1, Math.max(0, share));
    this.changed();
  }

  /** @param {number} factor @param {number[]} [point] of the canvas, that stays */
  zoomBy(factor, point) {
    this.zoomTo(this.camera.zoom * factor, point);
  }

  /** @param {number} zoom @param {number[]} [point] of the canvas, that stays */
  zoomTo(zoom, point) {
    this.camera.zoomTo(zoom, point);
    this.draw();
  }

  fit() {
    this.camera.fit();
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || find("keys").open) return;
    const inside = event.target instanceof HTMLInputElement, arrows = event.key.startsWith("Arrow");
    // Knobs keep the keys that move them; so does the divider.
    if ((inside || event.target === find("divider")) && (arrows || ["Home", "End", "PageUp", "PageDown"].includes(event.key))) {
      if (event.target === find("divider")) this.#moveDivider(event);
      return;
    }
    const far = event.shiftKey ? 10 : 1, arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    /** @type {Record<string, () => void>} */
    const does = {
      ",": () => this.turnBy(1, false), ".": () => this.turnBy(-1, false), "<": () => this.turnBy(15), ">": () => this.turnBy(-15),
      ";": () => this.turnBy(15), ":": () => this.turnBy(-15),
      "[": () => this.turnBy(90), "]": () => this.turnBy(-90), f: () => this.flip(), l: () => this.lift(), delete: () => this.lift(), b: () => this.back(),
      n: () => this.arrange(this.table.shown < 0 ? this.table.arrangement : (this.table.arrangement + 1) % this.manifest.arrangements.length),
      t: () => this.compareWith(COMPARE[(COMPARE.indexOf(this.compare) + 1) % COMPARE.length]),
      "+": () => this.zoomBy(1.5), "=": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5), 0: () => this.fit(),
      "?": () => find("keys").showModal(), escape: () => this.choose(-1),
    };
    if (arrow && (event.target === this.canvas || event.target === document.body || find("sheets").contains(/** @type {Node} */ (event.target)))) {
      if (this.table.selected < 0) {
        this.camera.pan(-arrow[0] * 40 * far, -arrow[1] * 40 * far);
        this.draw();
      } else this.slide(arrow[0] * far, arrow[1] * far);
    } else if (/^[1-9]$/.test(event.key) && Number(event.key) <= this.table.sheets.length) {
      this.choose(Number(event.key) - 1);
    } else if (does[event.key.toLowerCase()]) does[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  #moveDivider(event) {
    const step = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 }[event.key];
    this.divide(this.divided + (step ?? 0));
    event.preventDefault();
  }
}

/** Says in the middle of the page what is wrong. @param {string} text */
function complain(text) {
  const message = find("message");
  message.hidden = false;
  message.textContent = text;
  document.body.dataset.ready = "no";
}

try {
  const page = new Page(await opened());
  // For those who open the console, and for the tests.
  Object.assign(window, { lightTable: page });
  await page.begin();
} catch (error) {
  complain(error instanceof Error ? error.message : String(error));
  throw error;
}

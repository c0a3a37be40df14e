// Tiles of sheets larger than a browser holds whole: as one zooms in, those that are seen are fetched.

const AT_ONCE = 6;
const FEWEST_SLOTS = 64;
const MOST_SLOTS = 768;

export class Tiles {
  /** @param {import("./table.js").LightTable} page */
  constructor(page) {
    this.page = page;
    if (!page.manifest.tiles) throw new Error("this run has no tiles");
    const { side, levels } = page.manifest.tiles;
    this.side = side;
    /** From full size on. @type {[number, number][]} */
    this.levels = levels;
    const most = /** @type {[number, number]} */ (levels[0].map((length) => Math.ceil(length / side)));
    this.pages = most;
    this.table = new Uint16Array(page.manifest.sheets.length * most[0] * most[1]);
    /** Tiles by their names, oldest first, with the slot that holds each. @type {Map<string, number>} */
    this.held = new Map();
    this.slots = this.#slots();
    this.free = Array.from({ length: this.slots }, (_, slot) => slot);
    /** @type {Set<string>} */
    this.asked = new Set();
    /** @type {Set<string>} */
    this.missing = new Set();
    this.at = -1;
    page.renderer.makeRoomForTiles(side, this.slots, most);
    page.renderer.takePages(this.table);
  }

  /** How many tiles are held: as many as a screen shows of the sheets that lie over each other at once, and some more. */
  #slots() {
    const { gl } = this.page.renderer, ratio = this.page.ratio ?? 1;
    const sheets = Math.max(...this.page.manifest.arrangements.map((one) => one.place.length));
    // A pixel of the screen is up to two of the level, along and down.
    const [across, down] = [screen.width, screen.height].map((side) => Math.ceil((2 * side * ratio) / this.side) + 1);
    const most = Math.min(MOST_SLOTS, gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS));
    return Math.max(FEWEST_SLOTS, Math.min(most, Math.ceil(1.2 * across * down * sheets)));
  }

  /** Which level the zoom asks for: -1 the sheets that are held whole. */
  get wantedLevel() {
    const { zoom } = this.page.camera, halvings = Math.round(Math.log2(1 / this.page.manifest.scale));
    if (zoom <= 1.001) return -1;
    return Math.max(0, halvings - Math.ceil(Math.log2(zoom) - 0.01));
  }

  /** The level that is shown; null for the sheets that are held whole. @returns {import("./desk.js").Level|null} */
  get level() {
    const wanted = this.wantedLevel;
    return wanted < 0 ? null : { index: wanted, size: this.levels[wanted], scale: 2 ** -wanted };
  }

  /** @param {number} level */
  #halvings(level) {
    return Math.round(Math.log2(1 / this.page.manifest.scale)) - level;
  }

  /** What a frame must know. */
  get frame() {
    const wanted = this.wantedLevel;
    if (wanted < 0) return { pages: false, halvings: 0 };
    return { pages: this.at === wanted, halvings: this.#halvings(wanted) };
  }

  /** Asks for the tiles that are seen; called when nothing moves. */
  wanted() {
    const level = this.wantedLevel;
    if (level < 0) return;
    const names = this.#seen(level);
    if (level !== this.at) {
      this.at = level;
      this.#list(level);
    }
    // Where more is seen than can be held, the rest stays as coarse as the sheets that are held whole.
    let room = this.slots;
    for (const name of names) {
      room -= 1;
      if (room < 0) break;
      if (this.held.has(name)) {
        // The one that was seen last is the last to go.
        const slot = /** @type {number} */ (this.held.get(name));
        this.held.delete(name);
        this.held.set(name, slot);
      } else if (!this.asked.has(name) && !this.missing.has(name) && this.asked.size < AT_ONCE) this.#fetch(name, names);
    }
  }

  /** Whether all that is seen is there. */
  get complete() {
    const level = this.wantedLevel;
    return level < 0 || (this.at === level && [...this.#seen(level)].every((name) => this.held.has(name)));
  }

  /** The names of the tiles that the canvas shows, of all sheets on the box. @param {number} level */
  #seen(level) {
    const { camera, table, canvas } = this.page, grow = 2 ** this.#halvings(level), size = this.levels[level];
    const first = camera.at([0, 0]).map((at) => at * grow), last = camera.at([canvas.width, canvas.height]).map((at) => at * grow);
    /** @type {Set<string>} */
    const names = new Set();
    for (const { sheet, map } of table.seen(performance.now(), { index: level, size, scale: 2 ** -level })) {
      let [top, left, bottom, right] = [Infinity, Infinity, -Infinity, -Infinity];
      for (const y of [first[1], last[1]]) {
        for (const x of [first[0], last[0]]) {
          const row = map[0] * y + map[1] * x + map[2], column = map[3] * y + map[4] * x + map[5];
          top = Math.min(top, row);
          bottom = Math.max(bottom, row);
          left = Math.min(left, column);
          right = Math.max(right, column);
        }
      }
      /** @param {number} at @param {number} side */
      const tile = (at, side) => Math.min(Math.ceil(side / this.side) - 1, Math.max(0, Math.floor(at / this.side)));
      if (bottom < 0 || right < 0 || top >= size[1] || left >= size[0]) continue;
      for (let row = tile(top - 1, size[1]); row <= tile(bottom + 1, size[1]); row++) {
        for (let column = tile(left - 1, size[0]); column <= tile(right + 1, size[0]); column++) {
          names.add(`${sheet + 1}-${level}-${row}-${column}`);
        }
      }
    }
    return names;
  }

  /** @param {string} name @param {Set<string>} seen */
  async #fetch(name, seen) {
    this.asked.add(name);
    try {
      const picture = await this.page.source.picture(`tile-${name}.png`);
      if (this.free.length === 0) this.#drop(seen);
      const slot = this.free.pop();
      if (slot !== undefined) {
        this.page.renderer.takeTile(slot, picture);
        this.held.set(name, slot);
        this.#list(this.at);
      }
      picture.close();
    } catch (error) {
      this.missing.add(name);
      this.page.say(error instanceof Error ? error.message : String(error));
    } finally {
      this.asked.delete(name);
      this.page.draw();
    }
  }

  /** Gives up the tile that was not seen for the longest time. @param {Set<string>} seen */
  #drop(seen) {
    for (const [name, slot] of this.held) {
      if (!seen.has(name)) {
        this.held.delete(name);
        this.free.push(slot);
        return;
      }
    }
  }

  /** Says which tiles of a level are held. @param {number} level */
  #list(level) {
    this.table.fill(0);
    for (const [name, slot] of this.held) {
      const [sheet, at, row, column] = name.split("-").map(Number);
      if (at === level) this.table[((sheet - 1) * this.pages[1] + row) * this.pages[0] + column] = slot + 1;
    }
    this.page.renderer.takePages(this.table);
  }
}

// What lies on the light box: sheets and how they lie, light, view. Knows no page and draws nothing.

import { after, DIRECTIONS, exact, inverse, moveOf, normal, samePose, seenShift, shiftOf } from "./moves.js";

/** @typedef {import("./moves.js").Pose} Pose */
/** @typedef {import("./moves.js").Move} Move */
/** @typedef {{pose: Pose, here: number, lifted: boolean, motion: Motion|null}} Sheet */
/** @typedef {{from: Pose, to: Pose, begun: number, wait: number}} Motion */
/**
 * A size at which the stack is shown; `index` -1 is that of the sheets that are held whole, others have tiles.
 * @typedef {{index: number, size: [number, number], scale: number}} Level scale: its pixels a pixel of the layers
 */

/** Milliseconds that a sheet takes to where it is sent. */
export const TAKES = 900;
const LIFTING = 260;

export class Table {
  /** @param {import("./data.js").Manifest} manifest */
  constructor(manifest) {
    this.manifest = manifest;
    /** @type {[number, number]} */
    this.size = manifest.size;
    /** @type {Level} */
    this.held = { index: -1, size: manifest.size, scale: manifest.scale };
    /** @type {Sheet[]} */
    this.sheets = manifest.sheets.map(() => ({ pose: plain(), here: 1, lifted: false, motion: null }));
    /** Sheets from the front. @type {number[]} */
    this.order = [];
    this.arrangement = 0;
    this.selected = -1;
    // Lengths are in pixels of the layers, angles in degrees, brightness in stops.
    this.box = 0;
    this.exposure = 0;
    this.room = manifest.inks?.room ?? 0;
    this.adapts = true;
    this.gap = manifest.gap[0] ?? 0;
    this.angles = [0, 0];
    this.off = 0;
    this.still = false;
    /** What the eye is adapted to, in units of the stack's white, as it is now. */
    this.adapted = 1;
    this.exposed = manifest.arrangements[0].exposure;
    this.lastTime = 0;
    this.arrange(0, false);
  }

  /** The arrangement that was chosen last. */
  get wanted() {
    return this.manifest.arrangements[this.arrangement];
  }

  /** Sheets on the box, from the front. */
  get present() {
    return this.order.filter((number) => !this.sheets[number].lifted);
  }

  /** Lays the sheets as an arrangement has them. @param {number} which @param {boolean} moving whether it is seen */
  arrange(which, moving) {
    this.arrangement = which;
    const place = this.wanted.place, now = performance.now();
    const named = place.map((one) => one.layer - 1);
    // Sheets that stay out of it lie behind, lifted.
    this.order = [...named, ...this.sheets.map((_, number) => number).filter((number) => !named.includes(number))];
    this.sheets.forEach((_, number) => this.#lift(number, !named.includes(number), moving));
    place.forEach((one, k) => {
      /** @type {Pose} */
      const pose = { flip: one.flip, rotate: normal(one.rotate), shift: [...one.shift] };
      this.#send(one.layer - 1, pose, moving, now, k);
    });
    this.#settleLight(!moving);
  }

  /** @param {number} number @param {Pose} pose @param {boolean} moving @param {number} now milliseconds */
  #send(number, pose, moving, now, turn = 0) {
    const sheet = this.sheets[number];
    const same = samePose(sheet.pose, pose) && !sheet.motion;
    sheet.motion = moving && !this.still && !same
      ? { from: sheet.pose, to: pose, begun: now, wait: 90 * turn } : null;
    sheet.pose = pose;
  }

  /** @param {number} number @param {boolean} lifted @param {boolean} moving */
  #lift(number, lifted, moving) {
    const sheet = this.sheets[number];
    sheet.lifted = lifted;
    if (!moving || this.still) sheet.here = lifted ? 0 : 1;
  }

  /** Lifts a sheet off, or lays it down. @param {number} number @param {boolean} lifted */
  lift(number, lifted) {
    this.#lift(number, lifted, true);
    this.#settleLight(this.still);
  }

  /** Lays one sheet as the chosen arrangement has it. @param {number} number */
  straighten(number) {
    const one = this.wanted.place.find((place) => place.layer === number + 1);
    /** @type {Pose} */
    const pose = one ? { flip: one.flip, rotate: normal(one.rotate), shift: [...one.shift] } : plain();
    this.#send(number, pose, true, performance.now());
  }

  /** Whether a sheet lies as the chosen arrangement has it. @param {number} number */
  isStraight(number) {
    const one = this.wanted.place.find((place) => place.layer === number + 1);
    if (!one) return this.sheets[number].lifted;
    const pose = { flip: one.flip, rotate: one.rotate, shift: one.shift };
    return !this.sheets[number].lifted && samePose(this.sheets[number].pose, pose);
  }

  /** Whether light and view are those of the scores in result.json. */
  get asSolved() {
    const { manifest } = this, still = this.angles.every((angle) => angle === 0) || this.gap === 0;
    return this.box === 0 && this.exposure === 0 && this.off === 0 && still && this.room === (manifest.inks?.room ?? 0);
  }

  /** The arrangement in which everything lies; -1 if in none. */
  get shown() {
    return this.manifest.arrangements.findIndex((arrangement) => {
      const there = this.present;
      return arrangement.place.length === there.length && arrangement.place.every((one) => {
        const sheet = this.sheets[one.layer - 1];
        return !sheet.lifted && samePose(sheet.pose, one);
      });
    });
  }

  /** Lets a sheet lie as `pose` says. @param {number} number @param {Pose} pose @param {boolean} moving */
  pose(number, pose, moving = false) {
    this.#send(number, { ...pose, rotate: normal(pose.rotate) }, moving, performance.now());
  }

  /** The map of a sheet that lies still. @param {number} number @param {Level} level @returns {Move} */
  map(number, level) {
    const { pose } = this.sheets[number];
    // As an arrangement has it, its map is the one that the solver used.
    const known = this.manifest.arrangements.flatMap((one) => one.place)
      .find((one) => one.layer === number + 1 && samePose(one, pose));
    if (known) return level.index < 0 ? known.map : known.maps[level.index];
    return moveOf(level.size, scaled(pose, level.scale));
  }

  /** Brings everything that moves to `now`, in ms. Returns whether something still moves. @param {number} now */
  advance(now) {
    const passed = Math.min(100, Math.max(0, now - this.lastTime));
    this.lastTime = now;
    let moves = false;
    for (const sheet of this.sheets) {
      const aim = sheet.lifted ? 0 : 1;
      if (sheet.here !== aim) {
        const step = this.still ? 1 : passed / LIFTING;
        sheet.here = aim ? Math.min(1, sheet.here + step) : Math.max(0, sheet.here - step);
        moves = true;
      }
      if (sheet.motion) {
        if (this.still || now - sheet.motion.begun >= TAKES + sheet.motion.wait) sheet.motion = null;
        moves = true;
      }
    }
    return this.#settleLight(this.still, passed) || moves;
  }

  /** Lets lamp and eye come closer to what they should be. @param {boolean} atOnce */
  #settleLight(atOnce, passed = 0) {
    const exposure = this.wanted.exposure, count = Math.max(1, this.present.length);
    const all = this.wanted.place.length;
    // With one sheet the bare box is white, with all of them the stack's white is; between, evenly in stops.
    const share = all > 1 ? Math.min(1, (count - 1) / (all - 1)) : 1;
    const adapted = this.adapts ? exposure ** (share - 1) : 1;
    const part = atOnce ? 1 : 1 - Math.exp(-passed / 160);
    /** @param {number} from @param {number} to */
    const near = (from, to) => (Math.abs(Math.log(to / from)) < 0.004 ? to : from * (to / from) ** part);
    this.adapted = near(this.adapted, adapted);
    this.exposed = near(this.exposed, exposure);
    return this.adapted !== adapted || this.exposed !== exposure;
  }

  /** How deep the sheet at `place` from the front lies, in pixels of the layers. @param {number} place */
  depth(place) {
    const gaps = this.manifest.gap;
    let found = 0;
    for (let k = 0; k < place; k++) {
      // The knob stretches all gaps alike.
      found += gaps.length ? this.gap * (gaps[k % gaps.length] / gaps[0]) : this.gap;
    }
    return found;
  }

  /**
   * How far the sheet at `place` from the front is seen displaced, right and down in pixels of `level`.
   * @param {number} place @param {Level} level
   */
  displaced(place, level) {
    const depth = this.depth(place) * level.scale, index = this.manifest.index;
    const [right, down] = this.angles.map((angle) => Math.round(seenShift(depth, angle, index)));
    const [x, y] = place ? DIRECTIONS[(place - 1) % 4] : [0, 0];
    const off = Math.round(this.off * level.scale);
    return [right + x * off, down + y * off];
  }

  /**
   * The sheets as they are seen now, from the front.
   * @param {number} now milliseconds @param {Level} level
   */
  seen(now, level = this.held) {
    const found = [], present = this.present;
    for (const number of this.order) {
      const sheet = this.sheets[number], { motion } = sheet;
      if (sheet.here === 0) continue;
      let map = null;
      if (motion) {
        const share = eased(Math.min(1, Math.max(0, (now - motion.begun - motion.wait) / TAKES)));
        const [from, to] = [motion.from, motion.to].map((pose) => scaled(pose, level.scale));
        map = share === 1 ? this.map(number, level) : between(level.size, from, to, share);
      } else map = this.map(number, level);
      if (map === null) continue;
      const place = present.indexOf(number);
      const [right, down] = this.displaced(place < 0 ? present.length : place, level);
      if (right || down) map = after(map, shiftOf(right, down));
      found.push({ sheet: number, map, between: !exact(map), here: smooth(sheet.here) });
    }
    return found;
  }

  /** Light of lamp and room, and what the eye takes for white, in units of the stack's white. */
  get light() {
    const lamp = 2 ** this.box / this.exposed;
    return { lamp, room: this.room, white: (this.adapted + this.room) * 2 ** -this.exposure };
  }
}

/** @returns {Pose} */
function plain() {
  return { flip: null, rotate: 0, shift: [0, 0] };
}

/** The same pose with its shift in other pixels. @param {Pose} pose @param {number} scale @returns {Pose} */
function scaled(pose, scale) {
  return scale === 1 ? pose : { ...pose, shift: [pose.shift[0] * scale, pose.shift[1] * scale] };
}

/** Slow at both ends. @param {number} share */
export function eased(share) {
  return share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
}

/** @param {number} share */
function smooth(share) {
  return share === 0 || share === 1 ? share : share * share * (3 - 2 * share);
}

/** From positions on the sheet, about its middle, to the same on the table: [xx, xy, yx, yy]. @param {Pose} pose */
function linear(pose) {
  const [p, q, , s, t] = inverse(moveOf([1, 1], { ...pose, shift: [0, 0] }));
  return [t, s, q, p];
}

/**
 * The map of a sheet on its way, as in src/mlsolve/film/poses.py; null while it is seen from its edge.
 * @param {[number, number]} size @param {Pose} start @param {Pose} end @param {number} share
 */
export function between(size, start, end, share) {
  const a = linear(start), b = linear(end);
  // turn = b · aᵀ
  const turn = [
    b[0] * a[0] + b[1] * a[1], b[0] * a[2] + b[1] * a[3], b[2] * a[0] + b[3] * a[1], b[2] * a[2] + b[3] * a[3],
  ];
  const angle = Math.atan2(turn[2] + 0, turn[0]);
  let half;
  if (turn[0] * turn[3] - turn[1] * turn[2] > 0) {
    const c = Math.cos(angle * share), s = Math.sin(angle * share);
    half = [c, -s, s, c];
  } else {
    const c = Math.cos(angle / 2), s = Math.sin(angle / 2), k = Math.cos(Math.PI * share);
    if (Math.abs(k) < 0.004) return null;
    half = [c * c + k * s * s, c * s - k * s * c, c * s - k * s * c, s * s + k * c * c];
  }
  const lift = 1 + 0.04 * Math.sin(Math.PI * share);
  const m = [
    lift * (half[0] * a[0] + half[1] * a[2]), lift * (half[0] * a[1] + half[1] * a[3]),
    lift * (half[2] * a[0] + half[3] * a[2]), lift * (half[2] * a[1] + half[3] * a[3]),
  ];
  const det = m[0] * m[3] - m[1] * m[2];
  // From the table to the sheet, as (row, column) of (y, x).
  const rowY = m[0] / det, rowX = -m[2] / det, columnY = -m[1] / det, columnX = m[3] / det;
  const y = (size[1] - 1) / 2, x = (size[0] - 1) / 2;
  const right = start.shift[0] + share * (end.shift[0] - start.shift[0]);
  const down = start.shift[1] + share * (end.shift[1] - start.shift[1]);
  return [
    rowY, rowX, y - rowY * (y + down) - rowX * (x + right),
    columnY, columnX, x - columnY * (y + down) - columnX * (x + right),
  ];
}

// Pointers on the canvas: one drags a sheet or the view, two turn a sheet or zoom; the wheel turns.

import { inverse, normal } from "./moves.js";

/** @typedef {import("./moves.js").Pose} Pose */
/**
 * One pointer that is down: `number` is its sheet, -1 for the view; `begun` once the sheet has moved.
 * @typedef {{number: number, point: number[], pose: Pose|null, last: number[], begun?: boolean}} Drag
 */
/**
 * Two pointers that are down, as they began; `does` is empty, "turn" or "zoom".
 * @typedef {{angle: number, apart: number, middle: number[], zoom: number, does: string, pose: Pose|null,
 *   last: number[]}} Two
 */

export class Pointers {
  /** @param {import("./table.js").LightTable} page */
  constructor(page) {
    this.page = page;
    /** @type {Map<number, [number, number]>} */
    this.down = new Map();
    /** @type {Drag|null} */
    this.drag = null;
    /** @type {Two|null} */
    this.two = null;
    const canvas = page.canvas, divider = document.getElementById("divider");
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(name, (event) => this.#end(event));
    }
    canvas.addEventListener("pointerleave", () => this.#look(null));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    divider?.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
    divider?.addEventListener("pointermove", (event) => {
      const stage = canvas.getBoundingClientRect();
      if (divider.hasPointerCapture(event.pointerId)) page.divide((event.clientX - stage.left) / stage.width);
    });
  }

  /** @param {MouseEvent} event @returns {[number, number]} */
  #point(event) {
    const stage = this.page.canvas.getBoundingClientRect();
    return [(event.clientX - stage.left) * this.page.ratio, (event.clientY - stage.top) * this.page.ratio];
  }

  /** Whether a sheet lies under a place of the stack. @param {number} number @param {number[]} place */
  #under(number, place) {
    const { table } = this.page, sheet = table.sheets[number];
    if (!sheet || sheet.lifted) return false;
    const found = table.seen(performance.now()).find((one) => one.sheet === number);
    if (!found) return false;
    const [x, y] = [place[0] - 0.5, place[1] - 0.5], m = found.map;
    const row = m[0] * y + m[1] * x + m[2], column = m[3] * y + m[4] * x + m[5];
    return row >= -0.5 && column >= -0.5 && row < table.size[1] - 0.5 && column < table.size[0] - 0.5;
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    const page = this.page, point = this.#point(event);
    page.canvas.setPointerCapture(event.pointerId);
    page.canvas.focus({ preventScroll: true });
    this.down.set(event.pointerId, point);
    if (this.down.size === 2) return this.#beginTwo();
    if (this.down.size > 2) return;
    const { table, camera } = page, place = camera.at(point);
    let number = this.#under(table.selected, place) ? table.selected : -1;
    if (number < 0 && camera.fits) number = table.present.find((one) => this.#under(one, place)) ?? -1;
    if (event.button === 1) number = -1;
    if (number >= 0 && number !== table.selected) page.choose(number);
    this.drag = { number, point, pose: number < 0 ? null : table.sheets[number].pose, last: point };
    page.canvas.classList.add("dragging");
    page.point();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const page = this.page, point = this.#point(event);
    if (!this.down.has(event.pointerId)) return this.#look(point);
    this.down.set(event.pointerId, point);
    if (this.two) return this.#moveTwo();
    const drag = this.drag;
    if (!drag) return;
    if (drag.number < 0) page.camera.pan(point[0] - drag.last[0], point[1] - drag.last[1]);
    else this.#slide(drag, point);
    drag.last = point;
    page.changed();
  }

  /**
   * Slides the sheet along, by whole pixels of the stack as it is shown.
   * @param {Drag} drag @param {number[]} point
   */
  #slide(drag, point) {
    const { table, camera, tiles } = this.page, { pose, number } = drag, { scale } = tiles?.level ?? table.held;
    if (!pose) throw new Error("no sheet is dragged");
    const zoom = (camera.zoom * table.held.scale) / scale;
    const by = [0, 1].map((axis) => Math.round((point[axis] - drag.point[axis]) / zoom) / scale);
    if (by[0] || by[1] || drag.begun) {
      drag.begun = true;
      table.pose(number, { ...pose, shift: [pose.shift[0] + by[0], pose.shift[1] + by[1]] });
      this.page.point();
    }
  }

  /** @param {PointerEvent} event */
  #end(event) {
    const page = this.page, drag = this.drag;
    this.down.delete(event.pointerId);
    if (this.down.size < 2) this.two = null;
    if (this.down.size) return;
    page.canvas.classList.remove("dragging");
    this.drag = null;
    if (!drag?.begun) return;
    this.#settle(drag.number, event.type === "pointerup" ? this.#point(event) : null);
    page.say(`sheet ${drag.number + 1}: ${page.describe(drag.number)}`);
    page.changed();
  }

  /**
   * A sheet that is let go near its place goes there; one that is dragged off the box is lifted: if the pointer has left
   * the stage, or if more than half of the sheet is beyond the box.
   * @param {number} number @param {number[]|null} point where it is let go
   */
  #settle(number, point) {
    const { table, camera } = this.page, sheet = table.sheets[number], { pose } = sheet;
    const one = table.wanted.place.find((place) => place.layer === number + 1);
    const near = (10 * this.page.ratio) / (camera.zoom * table.held.scale);
    if (one && one.flip === pose.flip && Math.abs(normal(one.rotate - pose.rotate)) < 4 &&
      Math.hypot(one.shift[0] - pose.shift[0], one.shift[1] - pose.shift[1]) < near) {
      table.pose(number, { flip: one.flip, rotate: normal(one.rotate), shift: [...one.shift] }, true);
      return;
    }
    const { width, height } = this.page.canvas;
    const outside = point !== null && (point[0] < 0 || point[1] < 0 || point[0] > width || point[1] > height);
    if (outside || this.#onBox(number) < 0.5) {
      table.lift(number, true);
      table.straighten(number);
    }
  }

  /** The share of a sheet that is on the box. @param {number} number */
  #onBox(number) {
    const { table, camera } = this.page, found = table.seen(performance.now()).find((one) => one.sheet === number);
    if (!found) return 0;
    const [p, q, r, s, t, u] = inverse(found.map), [left, top, right, bottom] = camera.box, fine = 24;
    let on = 0;
    for (let i = 0; i < fine; i++) {
      for (let j = 0; j < fine; j++) {
        const row = ((i + 0.5) / fine) * table.size[1], column = ((j + 0.5) / fine) * table.size[0];
        const y = p * row + q * column + r, x = s * row + t * column + u;
        if (x >= left && x <= right && y >= top && y <= bottom) on += 1;
      }
    }
    return on / fine ** 2;
  }

  #beginTwo() {
    const [a, b] = [...this.down.values()], table = this.page.table;
    this.drag = null;
    this.two = {
      angle: Math.atan2(b[1] - a[1], b[0] - a[0]), apart: Math.hypot(b[0] - a[0], b[1] - a[1]),
      middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], zoom: this.page.camera.zoom, does: "",
      pose: table.selected < 0 ? null : table.sheets[table.selected].pose, last: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2],
    };
  }

  #moveTwo() {
    const two = this.two, page = this.page;
    if (!two) throw new Error("no two pointers are down");
    const [a, b] = [...this.down.values()], middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const turned = normal(((two.angle - Math.atan2(b[1] - a[1], b[0] - a[0])) * 180) / Math.PI);
    const larger = Math.hypot(b[0] - a[0], b[1] - a[1]) / two.apart;
    // What the fingers do first decides.
    if (!two.does && two.pose && Math.abs(turned) > 7) two.does = "turn";
    else if (!two.does && Math.abs(Math.log(larger)) > 0.13) two.does = "zoom";
    if (two.does === "turn" && two.pose) {
      page.turnTo(Math.round(two.pose.rotate + turned));
      return;
    }
    if (two.does === "zoom") page.zoomTo(two.zoom * larger, middle);
    page.camera.pan(middle[0] - two.last[0], middle[1] - two.last[1]);
    two.last = middle;
    page.draw();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    const page = this.page, lines = event.deltaMode ? 20 : 1, turned = (event.deltaY || event.deltaX) * lines;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey || page.table.selected < 0) {
      return page.zoomBy(Math.exp(-turned * 0.0022), this.#point(event));
    }
    // A notch of a wheel, some hundred units, is five degrees; a trackpad's small steps add up.
    this.wheeled = (this.wheeled ?? 0) - turned * 0.05;
    const whole = Math.trunc(this.wheeled);
    this.wheeled -= whole;
    if (whole) page.turnBy(whole, false);
  }

  /** The view follows the pointer, if it is wanted. @param {number[]|null} point */
  #look(point) {
    const follow = /** @type {HTMLInputElement} */ (document.getElementById("follow"));
    if (!follow.checked) return;
    const page = this.page, size = [page.canvas.width, page.canvas.height];
    ["across", "down"].forEach((name, axis) => {
      const knob = /** @type {HTMLInputElement} */ (document.getElementById(name));
      const angle = point === null ? 0 : Math.round((2 * point[axis] / size[axis] - 1) * 35);
      knob.value = String(angle);
      page.turnKnob(name, angle);
    });
  }
}


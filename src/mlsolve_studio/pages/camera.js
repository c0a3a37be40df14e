// What part of the stack the canvas shows, and how large.

/** Share of the stack's longer side by which the light box is larger, on every side. */
export const RIM = 0.02;
const MOST_ZOOM = 32;

export class Camera {
  /** @param {[number, number]} size of the stack @param {number} finest pixels of the layers a pixel of the stack */
  constructor(size, finest) {
    this.size = size;
    this.finest = finest;
    /** @type {[number, number]} the canvas, in its pixels */
    this.canvas = [1, 1];
    /** Share of the canvas that the stack has for itself, across and down. */
    this.part = [1, 1];
    this.fits = true;
    this.zoom = 1;
    /** The place of the stack in the middle of its part of the canvas. */
    this.middle = [size[0] / 2, size[1] / 2];
  }

  get rim() {
    return RIM * Math.max(...this.size);
  }

  /** The zoom at which everything can be seen. */
  get whole() {
    const room = [this.canvas[0] * this.part[0], this.canvas[1] * this.part[1]];
    const most = Math.min(...this.size.map((side, axis) => (room[axis] * 0.96) / (side + 2 * this.rim)));
    // Whole enlargements, so that pixels stay squares of one size.
    return most >= 2 ? Math.floor(most) : most >= 1 && most < 1.15 ? 1 : most;
  }

  fit() {
    this.fits = true;
    this.#settle();
  }

  /** @param {[number, number]} canvas @param {[number, number]} part */
  resize(canvas, part) {
    this.canvas = canvas;
    this.part = part;
    this.#settle();
  }

  #settle() {
    if (this.fits) {
      this.zoom = this.whole;
      this.middle = [this.size[0] / 2, this.size[1] / 2];
    }
  }

  /** Zooms to `zoom` about a point of the canvas that stays. @param {number} zoom @param {number[]} [point] */
  zoomTo(zoom, point = this.centre) {
    const before = this.at(point);
    this.zoom = Math.min(MOST_ZOOM * this.finest, Math.max(Math.min(this.whole, 1), zoom));
    this.fits = Math.abs(this.zoom - this.whole) < 1e-6;
    if (this.fits) return this.#settle();
    const now = this.at(point);
    this.middle = [this.middle[0] + before[0] - now[0], this.middle[1] + before[1] - now[1]];
    this.#keep();
  }

  /** Moves the view by pixels of the canvas. @param {number} right @param {number} down */
  pan(right, down) {
    if (this.fits) return;
    this.middle = [this.middle[0] - right / this.zoom, this.middle[1] - down / this.zoom];
    this.#keep();
  }

  #keep() {
    this.middle = this.middle.map((at, axis) => Math.min(this.size[axis] + this.rim, Math.max(-this.rim, at)));
  }

  /** The middle of the stack's part of the canvas. */
  get centre() {
    return [(this.canvas[0] * this.part[0]) / 2, (this.canvas[1] * this.part[1]) / 2];
  }

  /** The canvas's pixel where the stack's corner is: whole, so that pixels of both coincide. */
  get corner() {
    return this.centre.map((at, axis) => Math.round(at - this.middle[axis] * this.zoom));
  }

  /** The place of the stack at a point of the canvas. @param {number[]} point */
  at(point) {
    const corner = this.centre.map((at, axis) => at - this.middle[axis] * this.zoom);
    return [(point[0] - corner[0]) / this.zoom, (point[1] - corner[1]) / this.zoom];
  }

  /** The light box, in pixels of the stack: left, top, right, bottom. */
  get box() {
    const rim = this.rim;
    return [-rim, -rim, this.size[0] + rim, this.size[1] + rim];
  }
}

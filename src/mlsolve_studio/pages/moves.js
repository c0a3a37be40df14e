// Places of sheets: the affine maps of mlsolve_kernels/placement/move.py, number for number.

/**
 * From a place (y, x) of the stack to the place on the sheet that is seen there:
 * row = m[0]·y + m[1]·x + m[2], column = m[3]·y + m[4]·x + m[5].
 * @typedef {number[]} Move
 */

/**
 * How a sheet lies: flipped, then turned counter-clockwise about its middle, then shifted right and down.
 * @typedef {{flip: "h"|"v"|null, rotate: number, shift: [number, number]}} Pose
 */

/** @type {Move} */
export const STILL = [1, 0, 0, 0, 1, 0];

/**
 * The map that applies `first`, then `map`.
 * @param {Move} map @param {Move} first @returns {Move}
 */
export function after(map, first) {
  const [a, b, c, d, e, f] = map;
  const [p, q, r, s, t, u] = first;
  return [a * p + b * s, a * q + b * t, a * r + b * u + c, d * p + e * s, d * q + e * t, d * r + e * u + f];
}

/**
 * The map from the sheet to the stack.
 * @param {Move} map @returns {Move}
 */
export function inverse(map) {
  const [a, b, c, d, e, f] = map;
  const scale = 1 / (a * e - b * d);
  const p = e * scale, q = -b * scale, s = -d * scale, t = a * scale;
  return [p, q, -(p * c + q * f), s, t, -(s * c + t * f)];
}

/** Whether it maps pixels onto pixels. @param {Move} map */
export function exact(map) {
  return map.every(Number.isInteger);
}

/**
 * The linear map with these coefficients about the middle of a picture.
 * @param {[number, number]} size width and height
 * @param {number} rowY @param {number} rowX @param {number} columnY @param {number} columnX
 * @returns {Move}
 */
function centred(size, rowY, rowX, columnY, columnX) {
  const y = (size[1] - 1) / 2, x = (size[0] - 1) / 2;
  return [rowY, rowX, y - rowY * y - rowX * x, columnY, columnX, x - columnY * y - columnX * x];
}

/** Cosine and sine, exact for quarter turns. @param {number} degrees */
function circle(degrees) {
  const quarters = Math.floor(degrees / 90), rest = degrees - quarters * 90;
  if (rest === 0) return [[1, 0], [0, 1], [-1, 0], [0, -1]][((quarters % 4) + 4) % 4];
  const angle = (degrees * Math.PI) / 180;
  return [Math.cos(angle), Math.sin(angle)];
}

/**
 * The map of a sheet that lies as `pose` says.
 * @param {[number, number]} size of the sheet @param {Pose} pose @returns {Move}
 */
export function moveOf(size, pose) {
  const [cosine, sine] = circle(pose.rotate);
  const unshifted = [1, 0, -pose.shift[1], 0, 1, -pose.shift[0]];
  const unturned = centred(size, cosine, sine, -sine, cosine);
  const unflipped = centred(size, pose.flip === "v" ? -1 : 1, 0, 0, pose.flip === "h" ? -1 : 1);
  return after(unflipped, after(unturned, unshifted));
}

/** A shift of what is seen, right and down. @param {number} right @param {number} down @returns {Move} */
export function shiftOf(right, down) {
  return [1, 0, -down, 0, 1, -right];
}

/**
 * The pose of a sheet that is turned over as it lies: left and right change places in what is seen of it.
 * @param {Pose} pose @returns {Pose}
 */
export function flipped(pose) {
  if (pose.flip === null) return { ...pose, flip: "h", rotate: normal(-pose.rotate) };
  return { ...pose, flip: null, rotate: normal(-pose.rotate + (pose.flip === "v" ? 180 : 0)) };
}

/** The same direction, above -180 and up to 180 degrees. @param {number} degrees */
export function normal(degrees) {
  const found = ((degrees % 360) + 360) % 360;
  return found > 180 ? found - 360 : found;
}

/** @param {Pose} one @param {Pose} other */
export function samePose(one, other) {
  return (
    one.flip === other.flip &&
    normal(one.rotate - other.rotate) === 0 &&
    one.shift[0] === other.shift[0] &&
    one.shift[1] === other.shift[1]
  );
}

/**
 * How far something at `depth` is seen displaced at an angle, by Snell's law (src/mlsolve/job/viewing.py).
 * @param {number} depth @param {number} degrees @param {number} index of refraction
 */
export function seenShift(depth, degrees, index) {
  return depth * Math.tan(Math.asin(Math.sin((degrees * Math.PI) / 180) / index));
}

/** Directions into which sheets are misaligned, in turn: right, down, left, up (scoring/stack_scoring.py). */
export const DIRECTIONS = [[1, 0], [0, 1], [-1, 0], [0, -1]];

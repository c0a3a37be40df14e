// SSIM and PSNR of two pictures, as mlsolve.ssim and mlsolve.psnr (docs/maths.md §3), beside the page.

const RADIUS = 5, SIGMA = 1.5, C1 = 0.01 ** 2, C2 = 0.03 ** 2;

const WINDOW = (() => {
  const found = Array.from({ length: 2 * RADIUS + 1 }, (_, k) => Math.exp(-((k - RADIUS) ** 2) / (2 * SIGMA ** 2)));
  const sum = found.reduce((a, b) => a + b, 0);
  return found.map((one) => one / sum);
})();

/**
 * The Gaussian mean about every pixel; beyond the border there are zeros.
 * @param {Float32Array} plane @param {number} width @param {number} height
 */
function blurred(plane, width, height) {
  const along = new Float32Array(plane.length), out = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      const first = Math.max(0, x - RADIUS), last = Math.min(width - 1, x + RADIUS);
      for (let at = first; at <= last; at++) sum += WINDOW[at - x + RADIUS] * plane[row + at];
      along[row + x] = sum;
    }
  }
  for (let y = 0; y < height; y++) {
    const first = Math.max(0, y - RADIUS), last = Math.min(height - 1, y + RADIUS), row = y * width;
    for (let at = first; at <= last; at++) {
      const weight = WINDOW[at - y + RADIUS], from = at * width;
      for (let x = 0; x < width; x++) out[row + x] += weight * along[from + x];
    }
  }
  return out;
}

/**
 * Pictures are RGBA twice: code values, then 0 to 255 for -0.5 to 0.5 of a code value beyond them.
 * @typedef {Uint8Array} Parts
 * @param {Parts} one @param {Parts} other
 * @param {number} width @param {number} height @param {boolean} round whether only the largest circle counts
 * @param {Parts|null} [fine] what the other has beyond its code values, -0.5 to 0.5 as 0 to 1
 * @param {Parts|null} [mask] how much each pixel counts
 */
export function scores(one, other, width, height, round, fine = null, mask = null) {
  const pixels = width * height;
  let similar = 0, error = 0, counted = 0;
  const counts = new Float32Array(pixels), radius = Math.min(width, height) / 2;
  /** @param {Parts} parts @param {number} at */
  const value = (parts, at) => (parts[at] + parts[4 * pixels + at] / 255 - 0.5) / 255;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const away = Math.hypot(x - (width - 1) / 2, y - (height - 1) / 2);
      counts[y * width + x] = round && away > radius ? 0 : mask ? value(mask, 4 * (y * width + x)) : 1;
      counted += counts[y * width + x];
    }
  }
  const x = new Float32Array(pixels), y = new Float32Array(pixels), p = new Float32Array(pixels);
  for (let plane = 0; plane < 3; plane++) {
    for (let at = 0; at < pixels; at++) {
      x[at] = value(one, 4 * at + plane);
      y[at] = value(other, 4 * at + plane) + (fine ? (value(fine, 4 * at + plane) - 0.5) / 255 : 0);
      error += counts[at] * (x[at] - y[at]) ** 2;
    }
    /** @param {Float32Array} a @param {Float32Array} b */
    const product = (a, b) => {
      for (let at = 0; at < pixels; at++) p[at] = a[at] * b[at];
      return blurred(p, width, height);
    };
    const mx = blurred(x, width, height), my = blurred(y, width, height);
    const xx = product(x, x), yy = product(y, y), xy = product(x, y);
    for (let at = 0; at < pixels; at++) {
      if (!counts[at]) continue;
      const a = mx[at], b = my[at];
      similar += counts[at] * ((2 * a * b + C1) * (2 * (xy[at] - a * b) + C2)) /
        ((a * a + b * b + C1) * (xx[at] - a * a + (yy[at] - b * b) + C2));
    }
  }
  const mean = error / (3 * counted);
  return { ssim: similar / (3 * counted), psnr: mean === 0 ? Infinity : -10 * Math.log10(mean) };
}

if (typeof window === "undefined") {
  self.onmessage = ({ data }) => {
    const { turn, one, other, width, height, round, fine, mask } = data;
    self.postMessage({ turn, ...scores(one, other, width, height, round, fine, mask) });
  };
}

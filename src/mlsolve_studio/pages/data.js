// Where the page finds what it shows: on its server, or in itself.

import { decoded } from "./renderer.js";

/** @typedef {import("./moves.js").Move} Move */
/** @typedef {import("./moves.js").Pose} Pose */
/**
 * How an arrangement has a layer, counted from 1: `map` for the sheet held whole, `maps` for each level of tiles.
 * @typedef {Pose & {layer: number, map: Move, maps: Move[]}} Placement
 */
/**
 * `exposure` is a factor; `target`, `fine` and `mask` are addresses of pictures, `ssim` the score of the print.
 * @typedef {{name: string, exposure: number, place: Placement[], target: string|null, fine: string|null,
 *   mask: string|null, ssim: number|null}} Arrangement
 */
/**
 * Film and inks as factors of light: `curves[channel][code]` in every band (light_table/stack.py).
 * @typedef {{base: number[], curves: number[][][], eye: number[][], reflectance: number, room: number}} Inks
 */
/**
 * What the page is told of a run (light_table/stack.py). Lengths are in pixels of the layers.
 * @typedef {object} Manifest
 * @property {string} name
 * @property {[number, number]} size of the sheets that are held whole
 * @property {[number, number]} full size of the layers
 * @property {string} shape
 * @property {number|null} dpi
 * @property {{name: string, picture: string}[]} sheets
 * @property {Arrangement[]} arrangements
 * @property {number[]} gap
 * @property {number} index of refraction
 * @property {number} view degrees
 * @property {number} registration
 * @property {number} scale pixels of `size` a pixel of the layers
 * @property {{side: number, levels: [number, number][]}|null} tiles
 * @property {Inks|null} inks
 * @property {string|null} [back] the page that leads to this run
 */
/** @typedef {{manifest: Manifest, picture: (address: string) => Promise<ImageBitmap>}} Source */

/** @returns {Promise<Source>} */
export async function opened() {
  const held = document.getElementById("held");
  if (held) {
    const { manifest, pictures } = JSON.parse(held.textContent ?? "");
    held.remove();
    return { manifest, picture: (address) => decoded(blobOf(pictures[address])) };
  }
  const manifest = await (await asked("manifest.json")).json();
  return { manifest, picture: async (address) => decoded(await (await asked(address)).blob()) };
}

/** @param {string} address */
async function asked(address) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `${address}: ${answer.status}`);
  return answer;
}

/** @param {string} text the bytes of a PNG in base 64 */
function blobOf(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return new Blob([bytes], { type: "image/png" });
}

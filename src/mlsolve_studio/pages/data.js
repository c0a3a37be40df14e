// Where the page finds what it shows: on its server, or in itself.

import { decoded } from "./renderer.js";

/** @typedef {{manifest: any, picture: (address: string) => Promise<ImageBitmap>}} Source */

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

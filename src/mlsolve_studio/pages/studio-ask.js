// @ts-check
/** Asks the studio's server. Whatever it refuses is one line, thrown as a Refusal. */

export class Refusal extends Error {}

/**
 * Whether the server answers: "away": it does not; "stranger": it does not know this page.
 * @typedef {"here" | "away" | "stranger"} Reach
 */

/** @type {Reach} */
let reached = "here";
/** @type {(reach: Reach) => void} */
let hear = () => {};

/** @param {(reach: Reach) => void} listener  told of every change */
export function onReach(listener) {
  hear = listener;
}

/** @param {Reach} now */
function reach(now) {
  if (now === reached) return;
  reached = now;
  hear(now);
}

export const isHere = () => reached === "here";

/**
 * @param {string} path
 * @param {RequestInit} [how]
 * @returns {Promise<any>}
 */
export async function ask(path, how) {
  let answer;
  try {
    answer = await fetch(path, how);
  } catch {
    if (how?.signal?.aborted) throw new Refusal("it was cancelled");
    reach("away");
    throw new Refusal("the studio does not answer: start it again with mlsolve studio");
  }
  reach(answer.status === 401 || answer.status === 403 ? "stranger" : "here");
  const text = await answer.text();
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    found = { line: text.trim().split("\n")[0] || `the studio answered ${answer.status}` };
  }
  if (!answer.ok) throw new Refusal(found.line ?? found.error ?? `the studio answered ${answer.status}`);
  return found;
}

/**
 * @param {string} path
 * @param {unknown} [what]
 * @param {AbortSignal} [signal]
 */
export function post(path, what = {}, signal) {
  return ask(path, { signal, method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) });
}

/**
 * Send a file, which the server reads as it comes.
 * @param {"pictures" | "media"} kind
 * @param {File} file
 */
export function send(kind, file) {
  return ask(`/api/own/${kind}?name=${encodeURIComponent(file.name)}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
}

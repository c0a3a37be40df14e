// @ts-check
/** Asks the studio's server. Whatever it refuses is one line, thrown as a Refusal. */

export class Refusal extends Error {}

/** Told when the server does not answer, or does not know this page any more. */
let lost = () => {};

/** @param {() => void} hear */
export function onLost(hear) {
  lost = hear;
}

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
    lost();
    throw new Refusal("the studio does not answer: start it again with mlsolve studio");
  }
  if (answer.status === 401 || answer.status === 403) lost();
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
 */
export function post(path, what = {}) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) });
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

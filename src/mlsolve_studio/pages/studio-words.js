// @ts-check
/** The command line's words in those of the page: options by the names of their fields. */

/** Fields with a name of their own here, by the key of a job file. Others are called as the key is. */
const LABELS = {
  size: "Side", print: "Print size", dpi: "Pixels per inch", shape: "Outline", exposure: "Exposure", hide_weight: "Hiding",
  registration: "Tolerance", media: "Printer and film", seed: "Seed of the start",
};
/** Options whose name is not the key with hyphens. @type {Record<string, string>} */
const KEYS = { hide: "hide_weight", guide: "guides" };

/** @param {string} key  of a job file */
export function labelOf(key) {
  const label = LABELS[/** @type {keyof typeof LABELS} */ (key)] ?? key.replaceAll("_", " ");
  return label[0].toUpperCase() + label.slice(1);
}

/** The key of the setting that a line is about, "" if it is about none. @param {string} line */
export function keyOf(line) {
  return /^(?:job\.toml: )?([a-z_]+) is /.exec(line)?.[1] ?? "";
}

/**
 * A line of the command line as the page says it.
 * @param {string} line @param {Set<string>} keys  of the settings that the page has
 */
export function worded(line, keys) {
  const key = keyOf(line);
  let text = line.replace(/^job\.toml: /, "");
  if (keys.has(key)) text = text.replace(key, labelOf(key));
  text = text.replace(/mlsolve run --dpi ([\d.]+)/, "Pixels per inch $1").replace(/give --dpi as well/, "give Pixels per inch as well");
  let foreign = false;
  text = text.replace(/--([a-z]+(?:-[a-z]+)*)/g, (option, /** @type {string} */ name) => {
    const found = KEYS[name] ?? name.replaceAll("-", "_");
    if (keys.has(found)) return labelOf(found);
    foreign = true;
    return option;
  });
  return foreign ? `${text} (only on the command line)` : text;
}

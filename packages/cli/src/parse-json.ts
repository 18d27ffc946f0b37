/**
 * JSON as people write configuration: what `JSON.parse` takes, but no object may have a name twice. `JSON.parse` would keep the last and say nothing, so
 * that a setting somebody wrote were silently another.
 */
export type ParsedJson =
  | { readonly kind: "parsed"; readonly value: unknown }
  | { readonly kind: "malformed" }
  /** Where the name is that comes twice: `databases[0].subscriptions[1].leaseMs`. */
  | { readonly kind: "repeated"; readonly at: string };

/** Never throws: the parser's message would quote the text, which may hold a secret. */
export function parseJson(text: string): ParsedJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "malformed" };
  }
  const at = repeatedName(text);
  return at === null ? { kind: "parsed", value } : { kind: "repeated", at };
}

/** An object or a list that has begun: where in it we are, and the names it has. */
interface Level {
  readonly names: Set<string> | null;
  place: string | number;
}

/** A string, or what opens, closes and separates. Numbers and words between them do not matter. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g;

/** The first name that an object has twice, in a text that is known to be JSON; null: there is none. */
function repeatedName(text: string): string | null {
  const levels: Level[] = [];
  let isNameNext = false;
  for (const [found] of text.matchAll(token)) {
    const level = levels.at(-1);
    if (found === "{" || found === "[") {
      levels.push(found === "{" ? { names: new Set(), place: "" } : { names: null, place: 0 });
      isNameNext = found === "{";
    } else if (found === "}" || found === "]") {
      levels.pop();
      isNameNext = false;
    } else if (found === "," && level !== undefined) {
      isNameNext = level.names !== null;
      if (typeof level.place === "number") level.place += 1;
    } else if (isNameNext && level?.names) {
      // The same name can be written in several ways.
      const name = JSON.parse(found) as string;
      level.place = name;
      if (level.names.has(name)) return pathOf(levels);
      level.names.add(name);
      isNameNext = false;
    }
  }
  return null;
}

function pathOf(levels: readonly Level[]): string {
  return levels.map(({ place }, depth) => (typeof place === "number" ? `[${place}]` : `${depth === 0 ? "" : "."}${place}`)).join("");
}

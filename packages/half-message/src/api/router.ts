import type { Route } from "./route.ts";

/** Which route a request is for: found; known, but not by this method; or none. */
export type Matched =
  | { readonly kind: "found"; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: "method"; readonly allow: string }
  | { readonly kind: "none" };

export type Match = (method: string, path: string) => Matched;

/** Finds routes by their segments. A parameter takes any segment that is not empty; what it must be is its handler's business. */
export function router(routes: readonly Route[]): Match {
  const patterns = routes.map((route) => ({ route, segments: route.path.split("/") }));
  return (method, path) => {
    const segments = path.split("/");
    const fitting = patterns.flatMap((pattern) => {
      const params = fit(pattern.segments, segments);
      return params === null ? [] : [{ route: pattern.route, params }];
    });
    const found = fitting.find(({ route }) => route.method === method);
    if (found !== undefined) return { kind: "found", ...found };
    if (fitting.length === 0) return { kind: "none" };
    return { kind: "method", allow: [...new Set(fitting.map(({ route }) => route.method))].join(", ") };
  };
}

function fit(pattern: readonly string[], segments: readonly string[]): Readonly<Record<string, string>> | null {
  if (pattern.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [index, wanted] of pattern.entries()) {
    const given = segments[index] as string;
    if (wanted.startsWith("{")) {
      if (given === "" || given.includes(":")) return null;
      params[wanted.slice(1, -1)] = given;
    } else if (wanted !== given) return null;
  }
  return params;
}

/** For an event: the code of whatever went wrong. An error of ours, of a driver or of the system has one; never its text, which may hold anything. */
export function codeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "UNKNOWN";
}

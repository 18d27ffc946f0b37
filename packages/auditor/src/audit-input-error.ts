/**
 * What is to be judged is not a history: a file that does not parse, a reader nobody declared, one message journaled twice.
 * It is never a verdict: a run that cannot be read is neither green nor red.
 *
 * `where` names the place (`received[3].messageId`, a file and line); neither field ever holds a payload, a key or a URL.
 */
export class AuditInputError extends Error {
  readonly where: string;

  constructor(where: string, rule: string, options?: { readonly cause: unknown }) {
    super(`${where}: ${rule}`, options);
    this.name = "AuditInputError";
    this.where = where;
  }
}

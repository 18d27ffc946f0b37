import type { Judgement } from "./judge.ts";

/** The result of a run with half messages, as `--json` prints it. */
export interface HalfMessageResult {
  /** Half messages whose fate is final: committed or rolled back. A payment that was tried again had several. */
  readonly decided: number;
  readonly committed: number;
  /** Refused payments, and tries that ended with their process. */
  readonly rolledBack: number;
  /** Payments beyond their card's limit: rolled back by their own transaction. */
  readonly refused: number;
  /** Of the decided: nobody reported, and the service asked. */
  readonly decidedByCheck: number;
  /** Of the committed: the prepare was lost, and the commit brought the message. */
  readonly carriedByCommit: number;
  /** Messages that arrived at the order service's door. */
  readonly delivered: number;
  /** Arrivals beyond the first. Legal: delivery is at least once. */
  readonly repeated: number;
  /** Payments in the order service's tables. */
  readonly effects: number;
  /** From here to `outOfOrder` all must be 0. Lost is also what took place in part. */
  readonly lost: number;
  /** Also what arrived with other bytes than were stored. */
  readonly ghosts: number;
  readonly doubled: number;
  readonly suspended: number;
  /** Neither decided nor suspended. */
  readonly undecided: number;
  readonly outOfOrder: number;
  /** Processes that were killed with kill -9 while they ran. */
  readonly kills: number;
  readonly seed: number;
  readonly seconds: number;
}

export interface RunFigures {
  readonly kills: number;
  readonly seed: number;
  readonly seconds: number;
}

export function resultOf({ verdict, decisions }: Judgement, { kills, seed, seconds }: RunFigures): HalfMessageResult {
  const { counts } = verdict;
  const { committed, rolledBack, committedByCheck, rolledBackByCheck, carried, suspended, undecided } = decisions;
  return {
    decided: committed + rolledBack,
    committed,
    rolledBack,
    refused: counts.rolledBack,
    decidedByCheck: committedByCheck + rolledBackByCheck,
    carriedByCommit: carried,
    delivered: counts.published,
    repeated: counts.repeated,
    effects: counts.effects,
    lost: counts.lost + counts.half,
    ghosts: counts.ghosts + counts.drifted,
    doubled: counts.doubled,
    suspended,
    undecided,
    outOfOrder: counts.outOfOrder,
    kills,
    seed,
    seconds: Math.round(seconds * 10) / 10,
  };
}

/** The table for people. */
export function formatReport({ verdict, decisions, problems }: Judgement, result: HalfMessageResult): string {
  const { committed, rolledBack, committedByCheck, rolledBackByCheck, carried } = decisions;
  const line = (name: string, figure: number | string, note = ""): string =>
    `  ${name.padEnd(18)}${String(figure).padStart(8)}${note === "" ? "" : `   ${note}`}`;
  const lines = [
    line("", "payments"),
    line("decided", result.decided, `${committed} committed, ${rolledBack} rolled back`),
    line("  refused", result.refused, "the card's limit: the transaction rolled back"),
    line(
      "  by check-back",
      result.decidedByCheck,
      `COMMIT done and not reported: ${committedByCheck}; not done, and fenced: ${rolledBackByCheck}`,
    ),
    line("  prepare lost", carried, "committed by a commit that carried the message"),
    line("delivered", result.delivered),
    line("repeated", result.repeated),
    line("effects", result.effects),
    line("lost", result.lost),
    line("ghosts", result.ghosts),
    line("doubled", result.doubled),
    line("suspended", result.suspended),
    line("undecided", result.undecided),
    line("out of order", result.outOfOrder),
    line("paid as expected", problems.length === 0 ? "yes" : "NO"),
    "",
    `  ${result.kills} processes killed, ${result.seconds} s`,
  ];
  const witnesses = verdict.witnesses.map(({ code, what, messageId, reader }) =>
    `${code} ${messageId ?? ""} ${reader ?? ""} ${what}`.replace(/ +/g, " "),
  );
  return [...lines, ...[...witnesses, ...verdict.reasons, ...problems.slice(0, 10)].map((problem) => `  ! ${problem}`)].join("\n");
}

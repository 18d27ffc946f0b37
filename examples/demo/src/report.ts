import type { Verdict } from "@waybill/auditor";
import type { Judgement } from "./judge.ts";

/** The result of a run, as `--json` prints it. */
export interface DemoResult {
  /** Orders whose transaction committed, and so their messages. */
  readonly committed: number;
  /** Orders whose transaction was rolled back on purpose. */
  readonly rolledBack: number;
  /** Messages of committed orders that arrived at the inventory service's door. */
  readonly published: number;
  /** Arrivals beyond the first, orders and answers together. Legal: publication is at least once. */
  readonly repeated: number;
  /** Effects of orders' messages in the inventory service's tables. */
  readonly effects: number;
  /** The faults count in both directions, orders and answers. All must be 0. Lost is also what took place in part. */
  readonly lost: number;
  /** Also what arrived with other bytes than were stored. */
  readonly ghosts: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  /** Processes that were killed with kill -9 while they ran. */
  readonly kills: number;
  readonly seconds: number;
}

export function resultOf({ orders, both }: Judgement, kills: number, seconds: number): DemoResult {
  const { committed, rolledBack, published, effects } = orders.counts;
  const { repeated, doubled, outOfOrder } = both.counts;
  return {
    committed,
    rolledBack,
    published,
    repeated,
    effects,
    lost: lostOf(both),
    ghosts: ghostsOf(both),
    doubled,
    outOfOrder,
    kills,
    seconds: Math.round(seconds * 10) / 10,
  };
}

const lostOf = ({ counts }: Verdict): number => counts.lost + counts.half;
const ghostsOf = ({ counts }: Verdict): number => counts.ghosts + counts.drifted;

const rows: readonly (readonly [name: string, figure: (verdict: Verdict) => number])[] = [
  ["committed", ({ counts }) => counts.committed],
  ["rolled back", ({ counts }) => counts.rolledBack],
  ["published", ({ counts }) => counts.published],
  ["repeated", ({ counts }) => counts.repeated],
  ["effects", ({ counts }) => counts.effects],
  ["lost", lostOf],
  ["ghosts", ghostsOf],
  ["doubled", ({ counts }) => counts.doubled],
  ["out of order", ({ counts }) => counts.outOfOrder],
];

/** The table for people. */
export function formatReport(judgement: Judgement, result: DemoResult): string {
  const { orders, answers, both, stockProblems } = judgement;
  const line = (name: string, left: string, right: string): string => `  ${name.padEnd(18)}${left.padStart(8)}${right.padStart(10)}`;
  const lines = [
    line("", "orders", "answers"),
    ...rows.map(([name, figure]) => line(name, String(figure(orders)), String(figure(answers)))),
    line("stock as expected", stockProblems.length === 0 ? "yes" : "NO", ""),
    "",
    `  ${result.kills} processes killed, ${result.seconds} s`,
  ];
  const problems = [
    ...both.witnesses.map(({ code, what, messageId, reader }) => `${code} ${messageId ?? ""} ${reader ?? ""} ${what}`.replace(/ +/g, " ")),
    ...both.reasons,
    ...stockProblems.slice(0, 10),
  ];
  return [...lines, ...problems.map((problem) => `  ! ${problem}`)].join("\n");
}

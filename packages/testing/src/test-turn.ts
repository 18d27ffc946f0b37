/**
 * Which of several alternatives a run tests, where all of them in every run would take too long: versions of one server, databases for a
 * slow scenario. A number in `WAYBILL_TEST_TURN` gives one of them its turn; other numbers give it to others, so that runs in a row come
 * to all of them. Without the variable, or with `WAYBILL_TEST_ALL=1`, every one has its turn.
 */
import { createHash } from "node:crypto";

/**
 * Whether the one at `place` (from 0) of `count` alternatives has its turn. Exactly one of them has it, and different groups take their
 * turns independently of each other. `group` names what they are alternatives for: `"rabbitmq"`.
 */
export function hasTurn(group: string, place: number, count: number): boolean {
  const turn = process.env.WAYBILL_TEST_TURN;
  if (turn === undefined || turn === "" || process.env.WAYBILL_TEST_ALL === "1") return true;
  const drawn = createHash("sha256").update(`${group} ${turn}`).digest().readUInt32BE(0);
  return drawn % count === place;
}

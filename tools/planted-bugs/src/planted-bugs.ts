/** All of them: see `planted-bug.ts` for what one is, and `bugs/` for those of each part. */
import { brokerBugs } from "./bugs/broker-bugs.ts";
import { databaseBugs } from "./bugs/database-bugs.ts";
import { halfMessageBugs } from "./bugs/half-message-bugs.ts";
import { inboxBugs } from "./bugs/inbox-bugs.ts";
import { relayBugs } from "./bugs/relay-bugs.ts";
import type { PlantedBug } from "./planted-bug.ts";

export const plantedBugs: readonly PlantedBug[] = [...relayBugs, ...databaseBugs, ...brokerBugs, ...inboxBugs, ...halfMessageBugs];

/**
 * A process that is killed while it handles requests: answers those that the table `feed` holds, each once, in their order.
 *
 * Environment: DATABASE_URL · KILL_AT the event at which it kills itself. It tells every event, and `answered` with each result; then it stops.
 */
import type { InboxEvent } from "@waybill/core";
import { createInbox } from "@waybill/inbox";
import { openDatabase } from "@waybill/sql";
import { killOnEvent, tellParent } from "@waybill/testing";

const { DATABASE_URL = "", KILL_AT } = process.env;
const database = openDatabase({ url: DATABASE_URL, connections: 3 });
const kill = KILL_AT === undefined ? () => undefined : killOnEvent({ name: KILL_AT as InboxEvent["name"] });
const inbox = createInbox({
  consumer: "c",
  database,
  onEvent(event) {
    tellParent(event);
    kill(event);
  },
});
const effect = `insert into effect (message_id) values (${database.dialect === "mysql" ? "?" : "$1"})`;
for (const { id } of await database.query("select id from feed order by n", [])) {
  const name = String(id);
  // Whoever was killed may still be at it, for the server.
  const { result } = await inbox.once(name, { request: `POST ${name}`, waitMs: 60_000 }, async (tx) => {
    await tx.query(effect, [name]);
    return { pid: process.pid, name };
  });
  tellParent({ name: "answered", result });
}
tellParent({ name: "quiet" });
await inbox.close();
await database.close();

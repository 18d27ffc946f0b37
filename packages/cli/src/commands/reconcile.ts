import { systemClock } from "@waybill/core";
import { createBarrier, reconcile } from "@waybill/half-message";
import type { CommandDefinition } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { serviceClientOf, serviceSettings } from "../half-message/call-service.ts";
import { database, json, prefix, producer, schema } from "../settings.ts";
import { placeOf } from "../tables.ts";
import { plain, printJson, printResult, printTable } from "../terminal.ts";

export const reconcileCommand: CommandDefinition = {
  path: ["reconcile"],
  description:
    "Compare what a half-message service has committed with a producer's barrier. Ends with 1 if the producer's database does not know it",
  settings: [...serviceSettings, producer, database, schema, prefix],
  notes: "Changes nothing. A database that lost a committed transaction in a failover leaves its message out in the world: this lists it.",
  async run(configuration) {
    const whose = configuration.get(producer);
    if (whose === null) configuration.complain(producer.name, "is needed");
    const place = placeOf(configuration);
    const { client, opened, space } = configuration.checked({ client: serviceClientOf(configuration), ...place });
    const barrier = createBarrier({
      producer: whose ?? "",
      database: opened,
      prefix: space.prefix,
      ...(space.schema === null ? {} : { schema: space.schema }),
    });
    try {
      const found = await reconcile({ producer: whose ?? "", client, barrier, nowMs: systemClock.wallMs() });
      const { looked, unknown, unreconciled } = found;
      if (configuration.get(json)) printJson(found);
      else {
        if (unreconciled.length > 0) {
          const rows = unreconciled.map((one) => [plain(one.id), one.found, one.decidedAt, plain(one.decidedBy)]);
          printTable(["ID", "BARRIER", "DECIDED AT", "DECIDED BY"], rows);
        }
        printResult(`${looked} committed, ${unreconciled.length} of them not in the barrier, ${unknown} it cannot know.`);
      }
      return unreconciled.length > 0 ? exitCodes.failed : exitCodes.done;
    } finally {
      client.close();
      await barrier.close();
      await opened.close();
    }
  },
};

/** Dead deliveries of a half-message service, for `half-message redrive` and for `dead-letter … --service`. */
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { flagOf } from "../setting.ts";
import { delivery, destination, dryRun, json, limit, why, yes } from "../settings.ts";
import { canAsk, confirm, plain, printJson, printResult, printTable } from "../terminal.ts";
import { type ServiceReply, serviceCaller } from "./call-service.ts";
import { answer } from "./print-answer.ts";

/** What a service tells of a delivery, as far as it is printed. */
interface Shown {
  readonly deliveryId: string;
  readonly producer: string;
  readonly messageId: string;
  readonly destination: string;
  readonly receiver: string | null;
  readonly attempts: number;
  readonly deadReason: string | null;
  readonly lastError: string | null;
  readonly deadAt: string | null;
}

/** Puts dead deliveries back on their way. */
export const redriveDeliveries = (configuration: Configuration): Promise<ExitCode> =>
  decide(configuration, { verb: "redrive", done: "put back on their way" });

/** Closes dead deliveries for good: the service counts them as acknowledged, by the operator's word. */
export const discardDeliveries = (configuration: Configuration): Promise<ExitCode> =>
  decide(configuration, { verb: "discard", done: "discarded" });

/** What is dead and named, or what is dead at a destination: counted first, unless it is sure. */
async function decide(
  configuration: Configuration,
  { verb, done }: { readonly verb: "redrive" | "discard"; readonly done: string },
): Promise<ExitCode> {
  const [where, one, reason] = [configuration.get(destination), configuration.get(delivery), configuration.get(why)];
  if ((where === null) === (one === null)) configuration.complain(destination.name, `or ${flagOf(delivery.name)} is needed, and not both`);
  if (reason === null) configuration.complain(why.name, "is needed");
  const isCount = configuration.get(dryRun) === true;
  const isSure = configuration.get(yes) === true;
  if (!isCount && !isSure && !canAsk()) configuration.complain(yes.name, "is needed where nobody can be asked");
  const call = async (isDryRun: boolean, most: number): Promise<ServiceReply> => {
    const ask = serviceCaller(configuration);
    if (where !== null) {
      const body = { destination: where, limit: most, reason };
      return ask("POST", `/admin/v1/deliveries:${verb}`, { ...body, dryRun: isDryRun });
    }
    const target = `/admin/v1/deliveries/${encodeURIComponent(one ?? "")}`;
    const reply = isDryRun ? await ask("GET", target) : await ask("POST", `${target}/${verb}`, { reason });
    const isAffected = isDryRun ? reply.body.state === "dead" : reply.body.applied === true;
    return reply.status < 300 ? { ...reply, body: { deliveries: isAffected ? 1 : 0, dryRun: isDryRun } } : reply;
  };
  let most = configuration.get(limit) ?? 100;
  if (isCount || !isSure) {
    const counted = await call(true, most);
    const { deliveries } = counted.body;
    if (isCount || counted.status >= 300 || deliveries === 0) {
      return answer(configuration, counted, () => printResult(`${String(deliveries)} deliveries would be ${done}.`));
    }
    if (!(await confirm(`${verb} ${String(deliveries)} deliveries?`))) return exitCodes.failed;
    // What died while the question stood was not agreed to.
    most = Number(deliveries);
  }
  return answer(configuration, await call(false, most), ({ deliveries }) => printResult(`${String(deliveries)} deliveries ${done}.`));
}

/** All that is known of one delivery, dead or not: its attempts, and who has it now. Its payload is another scope's. */
export async function showDelivery(configuration: Configuration): Promise<ExitCode> {
  const one = configuration.get(delivery);
  if (one === null) configuration.complain(delivery.name, "is needed");
  const reply = await serviceCaller(configuration)("GET", `/admin/v1/deliveries/${encodeURIComponent(one ?? "")}`);
  return answer(configuration, reply, (body) => printResult(JSON.stringify(body, null, 2)));
}

export async function listDeadDeliveries(configuration: Configuration): Promise<ExitCode> {
  const where = configuration.get(destination);
  const query = new URLSearchParams({ state: "dead", limit: String(Math.min(configuration.get(limit) ?? 100, 200)) });
  if (where !== null) query.set("destination", where);
  const reply = await serviceCaller(configuration)("GET", `/admin/v1/deliveries?${query.toString()}`);
  if (configuration.get(json) === true && reply.status < 300) {
    printJson({ deadLetters: reply.body.items, isCut: reply.body.next !== null });
    return exitCodes.done;
  }
  return answer(configuration, reply, ({ items, next }) => {
    const rows = items as readonly Shown[];
    if (rows.length === 0) return printResult("None.");
    printTable(
      ["DELIVERY", "PRODUCER", "MESSAGE ID", "DESTINATION", "REASON", "ATTEMPTS", "LAST ERROR", "SINCE"],
      rows.map((row) => [
        row.deliveryId,
        plain(row.producer),
        plain(row.messageId),
        plain(row.receiver === null ? row.destination : `${row.destination}/${row.receiver}`),
        row.deadReason ?? "-",
        String(row.attempts),
        row.lastError === null ? "-" : plain(row.lastError),
        row.deadAt ?? "-",
      ]),
    );
    if (next !== null) printResult(`These are the first ${rows.length}; there are more.`);
  });
}

/** Receivers: what they may ask about their own notifications, and how operators register them. */
import { committedValue, type Database, type OwnedTx } from "@waybill/sql";
import type { Deliveries } from "../deliveries.ts";
import type { DeliveryStore, ShownAttempt, ShownDelivery } from "../delivery-store.ts";
import { nameProblem } from "../names.ts";
import { receiverRules } from "../notification/receiver-options.ts";
import { type ReceiverSecrets, rotationOverlapMs } from "../notification/receiver-secret.ts";
import type { ServiceRules } from "../options.ts";
import type { Receiver, ReceiverSecret, ReceiverStore } from "../receiver-store.ts";
import { readAfter, readDeliveryState } from "./admin-delivery-routes.ts";
import { complaints, readLimit, readObject, readText, reasonProblem, require } from "./fields.ts";
import { problem } from "./problem.ts";
import { readReceiver } from "./receiver-fields.ts";
import type { Call, Reply, Route } from "./route.ts";

export interface ReceiverRoutesOptions {
  readonly rules: ServiceRules;
  readonly database: Database;
  readonly deliveries: DeliveryStore;
  readonly receivers: ReceiverStore;
  readonly secrets: ReceiverSecrets;
  readonly delivering: Deliveries;
}

const own = "/v1/receivers/{receiver}/notifications";
const admin = "/admin/v1/receivers";

export function receiverRoutes(options: ReceiverRoutesOptions): readonly Route[] {
  const { rules, database, deliveries, receivers, secrets, delivering } = options;
  const known = receiverRules(rules.receivers);

  const find = async (statements: Pick<Database, "query">, call: Call): Promise<Receiver> => {
    const { receiver = "" } = call.params;
    const [found] = await receivers.find(statements, [receiver]);
    if (found === undefined) throw problem("unknown_receiver");
    return found;
  };

  /** A change, with its reason, in one transaction with the log of it. */
  const change = async (
    call: Call,
    work: (tx: OwnedTx, actor: string) => Promise<void>,
    more: readonly string[] = [],
  ): Promise<Receiver | null> => {
    const { receiver: name = "" } = call.params;
    const to = complaints();
    const fields = readObject(call.body, "", ["reason", ...more], to);
    require(fields, ["reason"], "", to);
    const reason = readText(fields, "reason", "", to, reasonProblem) ?? "";
    to.throwIfAny();
    const operation = "change a receiver";
    const actor = `operator:${call.caller.keyId}`;
    const outcome = await database.unitOfWork(
      async (tx) => {
        await call.useNonce(tx);
        await work(tx, actor);
        await receivers.log(tx, name, "receiver_changed", actor, reason);
        return (await receivers.find(tx, [name]))[0] ?? null;
      },
      { operation },
    );
    const changed = committedValue(operation, outcome);
    delivering.wake();
    return changed;
  };

  const put = async (call: Call): Promise<Reply> => {
    const { receiver: name = "" } = call.params;
    const broken = nameProblem(name);
    if (broken !== null) throw problem("malformed_request", { errors: [{ field: "receiver", why: `must be ${broken}` }] });
    const to = complaints();
    const fields = readObject(call.body, "", ["reason", ...putFields], to);
    require(fields, ["url", "reason"], "", to);
    const wanted = readReceiver(fields, known, to);
    to.throwIfAny();
    let isNew = false;
    const register = async (tx: OwnedTx, actor: string): Promise<void> => {
      const [before] = await receivers.find(tx, [name]);
      isNew = before === undefined;
      const secret = wanted.secret ?? before?.secret ?? { derived: 1 };
      if (secrets.of({ receiver: name, secret, nowMs: before?.nowMs ?? 0 }).length === 0) {
        throw problem("malformed_request", {
          errors: [{ field: "secret", why: "cannot be had: there is no receiverMasterSecret, or no such file" }],
        });
      }
      await receivers.put(tx, name, { ...wanted, secret }, actor);
    };
    const changed = await change(call, register, putFields);
    return { status: isNew ? 201 : 200, body: shown(changed) };
  };

  const setState = (call: Call, state: Receiver["state"]): Promise<Receiver | null> =>
    change(call, async (tx, actor) => {
      const { receiver } = await find(tx, call);
      await receivers.setState(tx, receiver, state, state === "disabled" ? "operator" : null, actor, null);
    });

  const rotate = async (call: Call): Promise<Reply> => {
    const changed = await change(call, async (tx, actor) => {
      const { receiver, url, schedule, success, secret, nowMs } = await find(tx, call);
      if ("file" in secret) throw problem("malformed_request", { errors: [{ field: "secret", why: "lies in a file: replace the file" }] });
      const previous = { derived: secret.derived, untilMs: nowMs + rotationOverlapMs };
      await receivers.put(tx, receiver, { url, schedule, success, secret: { derived: secret.derived + 1, previous } }, actor);
    });
    return { status: 200, body: shown(changed) };
  };

  const reveal = async (call: Call): Promise<Reply> => {
    const operation = "show a receiver's secret";
    const outcome = await database.unitOfWork(
      async (tx) => {
        const receiver = await find(tx, call);
        await receivers.log(tx, receiver.receiver, "revealed", `operator:${call.caller.keyId}`, null);
        return receiver;
      },
      { operation },
    );
    const all = secrets.of(committedValue(operation, outcome)).map((secret) => `whsec_${secret.reveal()}`);
    return { status: 200, body: { secrets: all } };
  };

  const notifications = async ({ params, query }: Call): Promise<Reply> => {
    const limit = readLimit(query);
    const items = await deliveries.searchNotifications(database, {
      receiver: params.receiver ?? "",
      businessKey: query.get("businessKey"),
      messageId: query.get("messageId"),
      state: readDeliveryState(query),
      afterSeq: readAfter(query),
      limit,
    });
    return {
      status: 200,
      body: { items: items.map(shownNotification), next: items.length === limit ? (items.at(-1)?.seq ?? null) : null },
    };
  };

  const notification = async ({ params, query }: Call): Promise<Reply> => {
    const { receiver = "", notification: id = "" } = params;
    const [, seq] = /^([1-9][0-9]{0,17})-[0-9a-f]{16}$/.exec(id) ?? [];
    if (seq === undefined) throw problem("unknown_delivery");
    const filter = { receiver, businessKey: null, messageId: null, state: null, afterSeq: String(BigInt(seq) - 1n), limit: 1 };
    const [found] = await deliveries.searchNotifications(database, filter);
    if (found === undefined || found.deliveryId !== id) throw problem("unknown_delivery");
    const attempts = await deliveries.attempts(database, seq);
    const body = { ...shownNotification(found), attemptLog: attempts.map(withoutError) };
    if (query.get("payload") !== "1") return { status: 200, body };
    const payload = await deliveries.payload(database, seq);
    return { status: 200, body: { ...body, payloadBase64: payload === null ? null : Buffer.from(payload).toString("base64") } };
  };

  const receiving = { port: "public", method: "GET", scope: "receive", of: "receiver", once: false } as const;
  const registering = { port: "admin", scope: "register", of: null } as const;
  const changing = { ...registering, method: "POST", once: true } as const;
  const reading = { ...registering, method: "GET", once: false } as const;
  return [
    { ...receiving, path: own, handle: notifications },
    { ...receiving, path: `${own}/{notification}`, handle: notification },
    {
      ...reading,
      path: admin,
      async handle({ query }) {
        const limit = readLimit(query);
        const items = await receivers.list(database, query.get("after") ?? "", limit);
        return { status: 200, body: { items: items.map(shown), next: items.length === limit ? (items.at(-1)?.receiver ?? null) : null } };
      },
    },
    { ...reading, path: `${admin}/{receiver}`, handle: async (call) => ({ status: 200, body: shown(await find(database, call)) }) },
    { ...registering, method: "PUT", once: true, path: `${admin}/{receiver}`, handle: put },
    {
      ...registering,
      method: "DELETE",
      once: true,
      path: `${admin}/{receiver}`,
      async handle(call) {
        await change(call, async (tx) => {
          const { receiver } = await find(tx, call);
          await receivers.remove(tx, receiver);
        });
        return { status: 200, body: { receiver: call.params.receiver, removed: true } };
      },
    },
    {
      ...changing,
      path: `${admin}/{receiver}/enable`,
      handle: async (call) => ({ status: 200, body: shown(await setState(call, "active")) }),
    },
    {
      ...changing,
      path: `${admin}/{receiver}/disable`,
      handle: async (call) => ({ status: 200, body: shown(await setState(call, "disabled")) }),
    },
    { ...changing, path: `${admin}/{receiver}/rotate`, handle: rotate },
    { ...reading, scope: "reveal", path: `${admin}/{receiver}/secret`, handle: reveal },
  ];
}

const putFields = ["url", "schedule", "success", "secret"];

/** A receiver without its secret. */
function shown(receiver: Receiver | null): object | null {
  if (receiver === null) return null;
  const { nowMs: _, failingForMs: __, secret, url, ...rest } = receiver;
  // A path or a query may hold a token.
  return { ...rest, origin: new URL(url).origin, secret: secretKind(secret) };
}

function secretKind(secret: ReceiverSecret): object {
  return "file" in secret
    ? { file: true }
    : { derived: secret.derived, ...(secret.previous === undefined ? {} : { previous: secret.previous.derived }) };
}

/** For its receiver: error texts are ours. */
function withoutError({ attempt, startedAt, tookMs, outcome, status }: ShownAttempt): object {
  return { attempt, startedAt, tookMs, outcome, status };
}

/** For its receiver: nothing of where else a message goes, and no error texts of ours. */
function shownNotification(delivery: ShownDelivery): object {
  const { deliveryId, messageId, businessKey, state, attempts, dueAt, createdAt, lastAt, lastOutcome, ackedAt, deadAt, deadReason } =
    delivery;
  const times = { nextAttemptAt: state === "pending" ? dueAt : null, createdAt, lastAt, ackedAt, deadAt };
  return { notificationId: deliveryId, messageId, businessKey, state, attempts, lastOutcome, deadReason, ...times };
}

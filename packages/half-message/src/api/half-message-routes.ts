/** Producers' calls about their half messages. */
import { askOf } from "./ask-of.ts";
import { complaints, readInteger, readLimit, readObject, readText, reasonProblem, require } from "./fields.ts";
import { halfMessageBatch } from "./half-message-batch.ts";
import { type HalfMessageOperationsOptions, halfMessageOperations } from "./half-message-operations.ts";
import { preparedBody, standingOf } from "./half-message-replies.ts";
import type { Load } from "./load.ts";
import type { Call, Reply, Route } from "./route.ts";
import { listedStanding, readState, showHalfMessage } from "./show-half-message.ts";

const extendBounds = { min: 100, max: 3_600_000 };
const base = "/v1/producers/{producer}/half-messages";

export function halfMessageRoutes(options: HalfMessageOperationsOptions & { readonly load: Load }): readonly Route[] {
  const { database, store, deliveries, writer } = options;
  const operations = halfMessageOperations(options);

  const extend = async (call: Call): Promise<Reply> => {
    const { producer, id, caller } = askOf(call);
    const to = complaints();
    const fields = readObject(call.body, "", ["forMs"], to);
    require(fields, ["forMs"], "", to);
    const forMs = readInteger(fields, "forMs", "", to, extendBounds) ?? 0;
    to.throwIfAny({ producer, id });
    const request = { producer, id, wish: { kind: "extend", forMs } as const, actor: `producer:${caller.keyId}`, reason: null };
    const judged = await writer.judge({ ...request, checkNumber: null, body: null }, (tx) => call.useNonce(tx));
    return { status: 200, body: preparedBody(standingOf(judged, producer, id)) };
  };

  const list = async (call: Call): Promise<Reply> => {
    const producer = call.params.producer ?? "";
    const state = readState(call.query);
    const limit = readLimit(call.query);
    const after = call.query.get("after");
    const items = await store.list(database, { producer, state, after, limit });
    const next = items.length === limit ? (items.at(-1)?.id ?? null) : null;
    return { status: 200, body: { items: items.map(listedStanding), next } };
  };

  const common = { port: "public", of: "producer", once: false } as const;
  return [
    {
      ...common,
      method: "PUT",
      path: `${base}/{id}`,
      scope: "prepare",
      isPrepare: true,
      handle: (call) => operations.prepare(askOf(call), call.body, ""),
    },
    {
      ...common,
      method: "POST",
      path: `${base}/{id}/commit`,
      scope: "decide",
      handle(call) {
        const to = complaints();
        const fields = call.body === null ? {} : readObject(call.body, "", ["halfMessage"], to);
        to.throwIfAny();
        return operations.commit(askOf(call), fields.halfMessage, "halfMessage");
      },
    },
    {
      ...common,
      method: "POST",
      path: `${base}/{id}/rollback`,
      scope: "decide",
      handle(call) {
        const to = complaints();
        const fields = call.body === null ? {} : readObject(call.body, "", ["reason"], to);
        const reason = readText(fields, "reason", "", to, reasonProblem) ?? null;
        to.throwIfAny();
        return operations.rollback(askOf(call), reason);
      },
    },
    { ...common, method: "POST", path: `${base}/{id}/extend`, scope: "decide", once: true, handle: extend },
    {
      ...common,
      method: "POST",
      path: `${base}:batch`,
      scope: null,
      handle: halfMessageBatch(operations, options.load, () => writer.gather()),
    },
    {
      ...common,
      method: "GET",
      path: `${base}/{id}`,
      scope: "read",
      handle(call) {
        const { producer, id } = askOf(call);
        return showHalfMessage({ database, store, deliveries }, producer, id);
      },
    },
    { ...common, method: "GET", path: base, scope: "read", handle: list },
  ];
}

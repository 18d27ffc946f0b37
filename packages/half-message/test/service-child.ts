/** A service in a process of its own, called over HTTP: for what kills it, and for what it must not die of. */
import type { WaybillEvent } from "@waybill/core";
import { type Child, startChild } from "@waybill/testing";
import { type Answer, callService, message, secrets } from "./half-message-fixture.ts";

const program = new URL("../dist-programs/test/crash/service.child.js", import.meta.url);

export interface ServiceChildOptions {
  /** Of its database. */
  readonly url: string;
  /** Where it delivers over HTTP, soon. Default: into its memory. */
  readonly destination?: string;
  /** Where its checks go, soon. Default: its producer fetches them. */
  readonly checks?: string;
  /** The event at which it kills itself. */
  readonly killAt?: WaybillEvent["name"] | null;
}

export interface ServiceChild {
  readonly child: Child;
  /** null: nobody answered, as when it is killed. */
  call(method: string, target: string, body?: unknown): Promise<Answer | null>;
  prepare(id: string, messages?: readonly unknown[]): Promise<Answer | null>;
  commit(id: string): Promise<Answer | null>;
  rollback(id: string): Promise<Answer | null>;
  show(id: string): Promise<Answer | null>;
  /** Ends it in order and answers how it ended. */
  stop(): Promise<Awaited<Child["exited"]>>;
}

/** Resolves when it listens. */
export async function startServiceChild(options: ServiceChildOptions): Promise<ServiceChild> {
  const child = await startChild(program, { args: [JSON.stringify({ ...options, key: secrets["payments-1"] })] });
  const listening = await child.waitFor((event) => event["name"] === "halfMessage.listening", { what: "it listens", deadlineMs: 60_000 });
  const ports = { public: Number(listening["port"]), admin: 0 };
  const call: ServiceChild["call"] = (method, target, body) => callService(ports, method, target, body).catch(() => null);
  const at = (id: string): string => `/v1/producers/payments/half-messages/${id}`;
  return {
    child,
    call,
    prepare: (id, messages = [message({ id, key: null })]) => call("PUT", at(id), { barrier: null, messages }),
    commit: (id) => call("POST", `${at(id)}/commit`, {}),
    rollback: (id) => call("POST", `${at(id)}/rollback`, {}),
    show: (id) => call("GET", at(id)),
    stop() {
      child.kill("SIGTERM");
      return child.exited;
    },
  };
}

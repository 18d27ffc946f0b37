/** A transport module as a user would write one; what it does is in its options. */

import type { TransportModule } from "@waybill/cli";
import type { Transport } from "@waybill/core";

const makeTransport: TransportModule = ({ behaviour, canary }, { onEvent }) => {
  if (behaviour === "fail to start") throw new Error(`canary ${String(canary)}`);
  if (behaviour === "be no transport") return {} as Transport;
  onEvent({ name: "http.breakerClosed", topic: "told by the module" });
  return {
    publish(batch) {
      if (behaviour === "hang") return new Promise(() => undefined);
      return Promise.resolve(batch.map(() => ({ kind: "confirmed" })));
    },
    close() {
      return behaviour === "never close" ? new Promise(() => setInterval(() => undefined, 1_000)) : Promise.resolve();
    },
  };
};

// The one place where a default export is asked for: `--transport` names a path, and a path has no name for what it exports.
// oxlint-disable-next-line import/no-default-export
export default makeTransport;

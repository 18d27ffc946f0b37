/**
 * A transport module that never settles what goes to the topic `silent`, as one that forgot a callback; everything else goes over HTTP. It breaks what
 * `Transport` promises, its deadline above all.
 */
import type { TransportModule } from "@waybill/cli";
import { httpTransport } from "@waybill/http";

const makeTransport: TransportModule = ({ url, isSilent }) => {
  const over = httpTransport({ url: String(url) });
  return {
    publish: (batch, options) =>
      isSilent === true && batch.some(({ topic }) => topic === "silent") ? new Promise(() => undefined) : over.publish(batch, options),
    close: (options) => over.close(options),
  };
};

// Where a default export is asked for: `--transport` names a path, and a path has no name for what it exports.
// oxlint-disable-next-line import/no-default-export
export default makeTransport;

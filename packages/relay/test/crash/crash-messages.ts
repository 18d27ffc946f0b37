/** What crash tests append: orders, and topics at which the destination misbehaves (see `relay.child.ts`). */
import { catalogue, message } from "@waybill/core";

interface Order {
  readonly key: string;
  readonly note: string;
}

const type = (topic: string) => message<Order>({ type: `test.${topic}.v1`, topic, key: (order) => order.key });
export const messages = catalogue({
  source: "/crash-test",
  orders: type("orders"),
  flaky: type("flaky"),
  stuck: type("stuck"),
  reject: type("reject"),
  braked: type("braked"),
  throws: type("throws"),
  deadly: type("deadly"),
  slow: type("slow"),
  whole: type("whole"),
  stops: type("stops"),
});
export type Topic = keyof typeof messages;

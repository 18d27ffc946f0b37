import { expect, test } from "vitest";
import * as outbox from "./index.ts";

test("the public names are these", () => {
  expect(Object.keys(outbox).toSorted()).toEqual([
    "addRange",
    "append",
    "countIds",
    "createLedger",
    "createOutbox",
    "hasId",
    "intersectRanges",
    "keepPartitions",
    "normaliseRanges",
    "outboxMigrations",
    "payloadBytesInlineMax",
    "rangesFromIds",
    "removeHistory",
    "subtractRanges",
    "uniteRanges",
  ]);
});

import { userInfo } from "node:os";
import { createDelayedMessages, createLedger, createStream, listStreams } from "@waybill/outbox";
import type { Connection, Namespace } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { database, json, prefix, schema, stream, who, why } from "../settings.ts";
import { placeOf } from "../tables.ts";
import { plain, printJson, printResult, printTable } from "../terminal.ts";

const place = [database, schema, prefix] as const;
const deadlineMs = 10_000;

interface StreamStatus {
  readonly stream: string;
  readonly highestId: bigint;
  /** Below zero: it is late. null: no message waits. */
  readonly nextDueInMs: number | null;
}

export const streamList: CommandDefinition = {
  path: ["stream", "list"],
  description: "List the ledgers of this database, how far their ids are, and when the next delayed message is due",
  settings: place,
  async run(configuration) {
    const { opened, space } = configuration.checked(placeOf(configuration));
    try {
      const connection = await opened.connect({ purpose: "stream list" });
      try {
        const streams: StreamStatus[] = [];
        for (const name of await listStreams(connection, space)) streams.push(await statusOf(connection, space, name));
        if (configuration.get(json)) printJson({ streams });
        else print(streams);
      } finally {
        await connection.close();
      }
      return exitCodes.done;
    } finally {
      await opened.close();
    }
  },
};

export const streamCreate: CommandDefinition = {
  path: ["stream", "create"],
  description: "Make another ledger, with a table of its own for each table of the first. Does nothing if it is there",
  settings: [...place, stream, who, why],
  notes: "Needs the rights of the schema's owner. Prints what to grant to roles that do not own the tables.",
  async run(configuration) {
    const name = configuration.get(stream);
    if (name === null) configuration.complain(stream.name, "is needed: the name of the new ledger");
    const parts = configuration.checked({ ...placeOf(configuration), name });
    try {
      const options = { who: configuration.get(who) ?? userInfo().username, why: configuration.get(why) };
      const { isNew, table, grants } = await createStream(parts.opened, parts.space, parts.name, options);
      if (configuration.get(json)) printJson({ stream: parts.name, table, isNew, grants });
      else {
        printResult(
          isNew ? `The stream ${parts.name} lies in ${table}.` : `Nothing to do: the stream ${parts.name} is there, in ${table}.`,
        );
        for (const grant of grants) printResult(grant);
      }
      return exitCodes.done;
    } finally {
      await parts.opened.close();
    }
  },
};

async function statusOf(connection: Connection, space: Namespace, name: string): Promise<StreamStatus> {
  const { highestId } = await createLedger({ space, stream: name }).facts(connection, { deadlineMs });
  const nextDueInMs = await createDelayedMessages({ space, stream: name }).untilDueMs(connection, { deadlineMs });
  return { stream: name, highestId, nextDueInMs: nextDueInMs === null ? null : Math.round(nextDueInMs) };
}

function print(streams: readonly StreamStatus[]): void {
  printTable(
    ["STREAM", "HIGHEST ID", "NEXT DUE IN MS"],
    streams.map(({ stream: name, highestId, nextDueInMs }) => [plain(name), String(highestId), String(nextDueInMs ?? "-")]),
  );
}

#!/usr/bin/env node
import { runCommand } from "./run-command.ts";

// A reader of ours that went away (`waybill … | head`) is no reason to fail.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

process.exitCode = await runCommand(process.argv.slice(2));

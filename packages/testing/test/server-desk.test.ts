import { describe, expect, it } from "vitest";
import type { ProvidedServer } from "../src/index.ts";
import { askServerDesk, type DeskAnswer, deskAnswer, openServerDesk } from "../src/server-desk.ts";

const used: DeskAnswer = { kind: "used", url: "kafka://127.0.0.1:1", version: "4.3.1" };

describe("the desk that starts servers", () => {
  it("answers each name that it is asked for", async () => {
    const asked: string[] = [];
    const desk = await openServerDesk(async (name) => {
      asked.push(name);
      return used;
    });
    const answers = await Promise.all(["kafka", "mysql"].map((name) => askServerDesk(desk.address, name, 10_000)));
    expect(answers).toEqual([used, used]);
    expect(asked.sort()).toEqual(["kafka", "mysql"]);
    await desk.close();
  });

  it("passes on why a start failed", async () => {
    const desk = await openServerDesk(() => Promise.reject(new Error("it wrote: no space left")));
    expect(await askServerDesk(desk.address, "kafka", 10_000)).toEqual({ kind: "failed", message: "it wrote: no space left" });
    await desk.close();
  });

  it("leaves nobody waiting who asks when the run ends", async () => {
    let isAsked: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    const desk = await openServerDesk(() => {
      isAsked();
      return new Promise<never>(() => undefined);
    });
    const answer = askServerDesk(desk.address, "kafka", 30_000);
    const refused = expect(answer).rejects.toThrow(/kafka/);
    await asked;
    await desk.close();
    await refused;
    await expect(askServerDesk(desk.address, "kafka", 10_000)).rejects.toThrow(/cannot be asked/);
  });

  it("gives up at the deadline of whoever asks", async () => {
    const desk = await openServerDesk(() => new Promise<never>(() => undefined));
    await expect(askServerDesk(desk.address, "kafka", 20)).rejects.toThrow("no answer within 20 ms");
    await desk.close();
  });
});

describe("a server that cannot be had", () => {
  const skipped: ProvidedServer = { kind: "skipped", name: "kafka", reason: "there is no java", advice: "install Java" };

  it("is left out, with the reason and what to do", () => {
    expect(deskAnswer(skipped, { isOptional: false, isCi: false })).toEqual({
      kind: "skipped",
      reason: "there is no java. To test on it: install Java.",
    });
  });

  it("fails a run of CI, unless it is optional", () => {
    expect(deskAnswer(skipped, { isOptional: false, isCi: true })).toMatchObject({
      kind: "failed",
      message: expect.stringMatching(/kafka.*CI=true.*no java.*install Java/),
    });
    expect(deskAnswer(skipped, { isOptional: true, isCi: true })).toMatchObject({ kind: "skipped" });
  });
});

import { describe, expect, it } from "vitest";
import { soloStart } from "./solo.ts";
import type { Acquisition } from "./subscriptions.ts";

const left = (over: Partial<Acquisition>): Acquisition => ({
  epoch: 7n,
  cursor: { lastId: 0n, ranges: [] },
  ownerBefore: "somebody",
  progressedBefore: false,
  soloIdBefore: null,
  soloDeaths: new Map(),
  serverIdentity: null,
  ledgerIdentity: null,
  ...over,
});

describe("a new holder", () => {
  it("publishes as usual after a holder that released its lease", () => {
    expect(soloStart(left({ ownerBefore: null }), "me", false)).toEqual({ isSolo: false, deaths: new Map(), died: null });
  });

  it("publishes as usual after a holder that got somewhere before it died", () => {
    expect(soloStart(left({ progressedBefore: true }), "me", false).isSolo).toBe(false);
  });

  it("publishes alone after a holder that died before it got anywhere", () => {
    expect(soloStart(left({}), "me", false)).toEqual({ isSolo: true, deaths: new Map(), died: null });
  });

  it("counts a death of the message that was being published alone, beside those of others", () => {
    const { isSolo, deaths, died } = soloStart(
      left({
        soloIdBefore: 5n,
        soloDeaths: new Map([
          [5n, 1],
          [9n, 2],
        ]),
      }),
      "me",
      false,
    );
    expect({ isSolo, died }).toEqual({ isSolo: true, died: 5n });
    expect(deaths).toEqual(
      new Map([
        [5n, 2],
        [9n, 2],
      ]),
    );
  });

  it("counts no death that nobody died: the id was left by a holder that released", () => {
    const { deaths, died } = soloStart(left({ ownerBefore: null, soloIdBefore: 5n }), "me", false);
    expect({ deaths, died }).toEqual({ deaths: new Map(), died: null });
  });

  it("keeps a conclusion that it took over and could not write down", () => {
    const unsettled = { isSolo: true, deaths: new Map([[5n, 2]]), died: 5n };
    expect(soloStart(left({ ownerBefore: "me", soloIdBefore: null }), "me", false, unsettled)).toEqual({ ...unsettled, died: null });
  });

  it("goes on as it was after an end of its own session, for it is alive", () => {
    const ours = left({ ownerBefore: "me", soloIdBefore: 5n });
    expect(soloStart(ours, "me", true)).toEqual({ isSolo: true, deaths: new Map(), died: null });
    expect(soloStart(ours, "me", false).isSolo).toBe(false);
  });
});

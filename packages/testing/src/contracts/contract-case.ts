/**
 * A contract is a list of cases, each with a name and a function that rejects when the implementation breaks it. It knows no test
 * runner: `for (const { name, run } of transportContract(…)) it(name, run)` works in all of them.
 */
export interface ContractCase {
  /** A sentence in the present tense: what an implementation does. */
  readonly name: string;
  /** Rejects with an AssertionError that says what was found instead. Opens what it needs and closes it. */
  run(): Promise<void>;
}

/** Makes the cases of a contract: each gets a fixture of its own, disposed of whatever happens. */
export function contractCases<Fixture extends { dispose(): Promise<void> }>(
  create: () => Promise<Fixture>,
): (name: string, body: (fixture: Fixture) => Promise<void>) => ContractCase {
  return (name, body) => ({
    name,
    async run() {
      const fixture = await create();
      try {
        await body(fixture);
      } finally {
        await fixture.dispose();
      }
    },
  });
}

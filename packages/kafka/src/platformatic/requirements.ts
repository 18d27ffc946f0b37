/** What @platformatic/kafka needs, and what we need of it. Pure. */

const nodeNeeded: readonly (readonly [major: number, minor: number])[] = [
  [22, 22],
  [24, 6],
];
const libraryNeeded = [2, 12] as const;

/** `version` as `process.versions.node` has it. Null: it will do. */
export function nodeProblem(version: string): string | null {
  const [major, minor] = numbersOf(version);
  const line = nodeNeeded.find((needed) => needed[0] === major);
  const isEnough = line === undefined ? major > 24 : minor >= line[1];
  return isEnough ? null : `platformatic needs Node 22.22, 24.6 or newer, and this is ${version}; client kafkajs does with it`;
}

/** `version` as the library says it. Null: it will do. */
export function libraryProblem(version: unknown): string | null {
  const [major, minor] = numbersOf(typeof version === "string" ? version : "");
  if (major === libraryNeeded[0] && minor >= libraryNeeded[1]) return null;
  return `must be ${libraryNeeded.join(".")} or newer and older than ${libraryNeeded[0] + 1}: npm install @platformatic/kafka@2.12.1`;
}

function numbersOf(version: string): readonly [major: number, minor: number] {
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(version) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}

import { expect, test } from "vitest";
import { libraryProblem, nodeProblem } from "./requirements.ts";

test("Node 22.22, 24.6 and whatever is newer will do, and nothing else", () => {
  for (const version of ["22.22.0", "22.23.1", "24.6.0", "24.21.0", "25.0.0", "26.1.0"]) expect(nodeProblem(version), version).toBeNull();
  for (const version of ["18.20.0", "20.20.2", "21.9.0", "22.21.9", "23.11.0", "24.5.9", ""])
    expect(nodeProblem(version), version).toContain("Node 22.22");
});

test("the library from 2.12 on will do, and no other major", () => {
  for (const version of ["2.12.0", "2.12.1", "2.40.0"]) expect(libraryProblem(version), version).toBeNull();
  for (const version of ["2.11.9", "1.99.0", "3.0.0", "", undefined]) expect(libraryProblem(version), version).toContain("2.12");
});

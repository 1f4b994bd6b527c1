import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Scenario } from "./scenario.ts";

/** The Go client runs the same files. */
const folder = new URL("../../../shared/client/testdata/scenarios/", import.meta.url);

describe("the exactly-once view", () => {
  const names = readdirSync(folder).filter((name) => name.endsWith(".txtar"));
  it("finds the files", () => expect(names).not.toHaveLength(0));
  it.each(names)("%s", (name) => {
    const [, script] = readFileSync(new URL(name, folder), "utf8").split("-- script --\n");
    new Scenario().run(script!);
  });
});

import { expect, it } from "vitest";
import { timedId } from "../src/ids.ts";

it("makes ids that sort by their time, as UUIDs of version 7", () => {
  const now = Date.UTC(2026, 10, 23);
  const ids = [timedId(0), timedId(now), timedId(now + 1), timedId(now + 256), timedId(now + 2 ** 33)];
  expect(ids.toSorted()).toEqual(ids);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(parseInt(ids[1]!.replaceAll("-", "").slice(0, 12), 16)).toBe(now);
  expect(timedId(now)).not.toBe(ids[1]);
});

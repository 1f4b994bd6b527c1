import { describe, expect, it } from "vitest";
import type { RunInfo } from "carrel-client";
import { duration, isLive, putPage, ranFor, statusWord, used } from "../src/runs.ts";

const run = (runId: string, status = "finished"): RunInfo => ({ runId, threadId: "t", status });
const page = (more: boolean, ...ids: string[]) => ({ type: "runs" as const, runs: ids.map((id) => run(id)), more });

describe("the list of runs", () => {
  it("grows by older pages, and is true for as far as a page reaches", () => {
    const first = putPage(undefined, page(true, "r9", "r8"));
    const both = putPage(first, page(false, "r7", "r6"), "r8");
    expect(both).toEqual({ rows: ["r9", "r8", "r7", "r6"].map((id) => run(id)), more: false });
    // A new run came, and r8 went with its thread.
    const again = putPage(both, page(true, "ra", "r9"));
    expect(again.rows.map(({ runId }) => runId)).toEqual(["ra", "r9", "r8", "r7", "r6"]);
    expect(putPage(both, page(true, "ra", "r7")).rows.map(({ runId }) => runId)).toEqual(["ra", "r7", "r6"]);
    expect(again.more).toBe(false);
    expect(putPage(both, page(false, "ra")).rows.map(({ runId }) => runId)).toEqual(["ra"]);
    expect(putPage(both, page(false)).rows).toEqual([]);
  });

  it("can stop what lives, and calls each status by a word", () => {
    expect(["waiting", "admitted", "running"].map((status) => isLive(run("r", status)))).toEqual([true, true, true]);
    expect(["finished", "failed", "cancelled", "suspended"].map((status) => [isLive(run("r", status)), statusWord(run("r", status))]))
      .toEqual([[false, "Finished"], [false, "Failed"], [false, "Stopped"], [false, "Asked you"]]);
  });

  it("tells times and figures", () => {
    expect([1234, 59_900, 61_000, 3_660_000].map(duration)).toEqual(["1.2 s", "59 s", "1 min 1 s", "1 h 1 min"]);
    expect(ranFor({ ...run("r"), started: 1000, ended: 3000 }, 9000)).toBe("2.0 s");
    expect(ranFor({ ...run("r"), started: 1000 }, 500)).toBe("0.0 s");
    expect(ranFor(run("r"), 500)).toBeUndefined();
    expect(used({ modelCalls: 1, toolCalls: 0, events: 12, outputBytes: 2048 })).toBe("1 model call, 0 tool calls, 12 events, 2.0 KB");
  });
});

import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const started = { type: "RUN_STARTED", threadId: "t", runId: "r" };
const finished = { type: "RUN_FINISHED", threadId: "t", runId: "r", outcome: { type: "cancelled" } };
const open = { type: "TEXT_MESSAGE_START", messageId: "m", role: "assistant" };
const close = { type: "TEXT_MESSAGE_END", messageId: "m" };

function verify(streams: unknown): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["tools/verify-events.mjs"], { input: JSON.stringify(streams), encoding: "utf8" });
  return { status, said: stdout + stderr };
}

describe("verify-events", () => {
  it("counts what passes", () => {
    expect(verify([[started, open, close, finished], [started, finished]])).toEqual({ status: 0, said: "2 streams, 6 events: all pass\n" });
  });
  it.each([
    ["a wrong order", [[started, finished], [started, close, finished]], /^stream 1, event 1: .*TEXT_MESSAGE_END/],
    ["a wrong shape", [[started, { type: "TEXT_MESSAGE_CONTENT", messageId: "m" }]], /^stream 0, event 1: [^]*delta/],
    ["something open at the end", [[started, open, finished]], /^stream 0, event 2: /],
    ["a run that was cut", [[started]], /^stream 0, event 0: the stream ends before its run does/],
    ["nothing", [[]], /^stream 0 is not an array of events, or is empty/],
    ["no array", {}, /^the input is not an array of streams/],
  ])("refuses %s", (_, streams, why) => {
    const { status, said } = verify(streams);
    expect(said).toMatch(why);
    expect(status).toBe(1);
  });
});

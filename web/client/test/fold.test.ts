import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import type { AgentEvent, Message } from "../src/events.ts";
import { Folder } from "../src/index.ts";

/** The Go tests read the same files; Go has generated the expected messages. */
const folder = new URL("../../../shared/agui/testdata/folds/", import.meta.url);
const text = (name: string): string => readFileSync(new URL(name, folder), "utf8");
const parsed = <T>(lines: string): T[] => lines.split("\n").filter(Boolean).map((line) => JSON.parse(line) as T);

/** The messages as Go encodes them in JSON, where an empty toolCallId is absent. */
function folded(events: readonly AgentEvent[]): unknown {
  const fold = new Folder();
  for (const event of events) fold.add(event);
  return JSON.parse(JSON.stringify(fold.messages, (key, value: unknown) => (key === "toolCallId" && value === "" ? undefined : value)));
}

describe("the fold", () => {
  const names = readdirSync(folder).filter((name) => name.endsWith(".txtar"));
  it("finds the files", () => expect(names).not.toHaveLength(0));
  it.each(names)("%s", (name) => {
    const [, events, messages] = text(name).split(/-- (?:events|messages) --\n/);
    expect(folded(parsed(events!))).toEqual(parsed(messages!));
  });

  it("returns the same messages as Go for random streams", () => {
    // `make folds` lets Go generate other streams.
    const other = process.env.FOLDS;
    const streams = other ? readFileSync(pathToFileURL(other), "utf8") : text("random.jsonl");
    for (const { seed, events, messages } of parsed<{ seed: number; events: AgentEvent[]; messages: Message[] }>(streams)) {
      expect(folded(events), `SEED=${seed}`).toEqual(messages);
    }
  }, 600_000);

  it("continues a call of a running run after older messages are added", () => {
    const fold = new Folder();
    fold.add({ type: "RUN_STARTED" });
    fold.add({ type: "TOOL_CALL_START", toolCallId: "c", toolCallName: "add", parentMessageId: "a" });
    fold.add({ type: "TOOL_CALL_ARGS", toolCallId: "c", delta: "{" });
    const whole = fold.prepend([{ id: "u", role: "user", content: "older" }]);
    whole.add({ type: "TOOL_CALL_ARGS", toolCallId: "c", delta: "}" });
    whole.add({ type: "TOOL_CALL_RESULT", messageId: "r", toolCallId: "c", content: "3" });
    expect(whole.messages.map(({ id }) => id)).toEqual(["u", "a", "r"]);
    expect(whole.messages[1]?.toolCalls?.[0]?.function.arguments).toBe("{}");
  });

  it("keeps the run of each message after older messages are added", () => {
    const fold = new Folder();
    fold.add({ type: "RUN_STARTED", runId: "r2" });
    fold.add({ type: "TEXT_MESSAGE_START", messageId: "a" });
    const older = (id: string): Message => ({ id, role: "user", content: "older" });
    const whole = fold.prepend([older("u"), older("v")], [{ runId: "r1", seq: 1, messages: 1 }]);
    whole.add({ type: "TEXT_MESSAGE_START", messageId: "b" });
    expect([...whole.runs]).toEqual([["u", "r1"], ["a", "r2"], ["b", "r2"]]);
  });
});

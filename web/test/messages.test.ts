import { expect, it } from "vitest";
import type { Message, ThreadState } from "carrel-client";
import { Likes, lack } from "../src/messages.ts";

const thread = (messages: Message[], more: Partial<ThreadState> = {}): ThreadState =>
  ({ threadId: "t", loaded: true, lagging: false, stopped: false, more: false, queue: [], interrupts: [], progress: new Map(), sources: [], runs: new Map(), messages, ...more });
const toLikes = (of: ThreadState) => new Likes().of(of);
const call = (id: string, name: string) => ({ id, type: "function" as const, function: { name, arguments: "{}" } });

it("puts a result into the call of its own run, though another run's call has the same id", () => {
  const likes = toLikes(thread([
    { id: "a", role: "assistant", content: "", toolCalls: [call("c1", "calculator")] },
    { id: "b", role: "tool", content: "1", toolCallId: "c1" },
    { id: "c", role: "assistant", content: "", toolCalls: [call("c1", "calculator")] },
    { id: "d", role: "tool", content: "2", toolCallId: "c1" },
    { id: "e", role: "assistant", content: "", toolCalls: [call("c1", "calculator")] },
  ]));
  expect(likes.map(({ content }) => content)).toMatchObject([[{ result: "1" }], [{ result: "2" }], [{ toolName: "calculator" }]]);
  expect(likes[2]!.content[0]).not.toHaveProperty("result");
});

it("shows queued runs below, with the reason why they wait", () => {
  const likes = toLikes(thread([{ id: "a", role: "user", content: "first" }], {
    queue: [{ runId: "r", state: "queued", messages: [{ id: "b", role: "user", content: "second" }] }],
  }));
  expect(likes).toMatchObject([{ id: "a" }, { id: "b", metadata: { custom: { state: "queued", runId: "r" } } }]);
});

it("says that an answer was cut off", () => {
  const likes = toLikes(thread([{ id: "a", role: "assistant", content: "x", metadata: { carrel: { incomplete: true } } }]));
  expect(likes).toMatchObject([{ metadata: { custom: { incomplete: true } } }]);
});

it("folds an answer that was cut and given again, with all its messages", () => {
  const again = { carrel: { incomplete: true, again: true, continues: "a" } };
  const messages: Message[] = [
    { id: "q", role: "user", content: "q" },
    { id: "a", role: "assistant", content: "half", toolCalls: [call("c1", "clock")] },
    { id: "r", role: "tool", content: "not made", toolCallId: "c1", metadata: again },
    { id: "b", role: "assistant", content: "whole" },
  ];
  const folded = (of: Message[]) => toLikes(thread(of)).map(({ metadata }) => metadata?.custom?.again === true);
  expect(folded(messages)).toEqual([false, true, false]);
  expect(folded(messages.slice(0, 3))).toEqual([false, false]); // nothing replaces it
  expect(folded([...messages.slice(0, 3), { id: "n", role: "user", content: "next" }, messages[3]!])).toEqual([false, false, false, false]);
});

it("converts only changed messages again", () => {
  const likes = new Likes();
  const question: Message = { id: "a", role: "user", content: "q" };
  const asks: Message = { id: "b", role: "assistant", content: "", toolCalls: [call("c1", "calculator")] };
  const result: Message = { id: "c", role: "tool", content: "1", toolCallId: "c1" };
  const first = likes.of(thread([question, asks]));
  const second = likes.of(thread([question, asks, result]));
  expect(second[0]).toBe(first[0]);
  expect(second[1]!.content).toMatchObject([{ result: "1" }]);
  const third = likes.of(thread([question, asks, result, { id: "d", role: "assistant", content: "it is" }]));
  expect(third.slice(0, 2).map((like, i) => like === second[i])).toEqual([true, true]);
  expect(likes.of(thread([question, asks, { ...result, content: "2" }]))[1]!.content).toMatchObject([{ result: "2" }]);
});

it("shows start and agent below the last message of an ended run", () => {
  const likes = new Likes();
  const messages: Message[] = [
    { id: "q", role: "user", content: "q" }, { id: "a", role: "assistant", content: "first" }, { id: "b", role: "assistant", content: "second" },
  ];
  const begun = { runId: "r1", seq: 1, at: 1000, agent: "assistant" };
  const runs = (run: typeof begun) => new Map(messages.map(({ id }) => [id, run]));
  const running = likes.of(thread(messages, { active: "r1", runs: runs(begun) }));
  expect(running.map(({ metadata }) => metadata?.custom)).toEqual([{}, {}, {}]);
  const run = { ...begun, model: "m-1" };
  const over = likes.of(thread(messages, { runs: runs(run) }));
  expect(over.map(({ metadata }) => metadata?.custom)).toEqual([{}, {}, { run }]);
  expect(over.slice(0, 2).map((like, i) => like === running[i])).toEqual([true, true]);
});

it("shows what a sub-agent does in the call that asked it, and not as the thread's own", () => {
  const likes = new Likes();
  const question: Message = { id: "q", role: "user", content: "q" };
  const asks: Message = { id: "a", role: "assistant", content: "", toolCalls: [call("c1", "ask_helper")] };
  const inner: Message = { id: "h", role: "assistant", content: "let me", subagentRunId: "c1", toolCalls: [call("c2", "ask_other")] };
  const deepest: Message = { id: "o", role: "assistant", content: "deep", subagentRunId: "c2" };
  const first = likes.of(thread([question, asks, inner, deepest]));
  expect(first.map(({ id }) => id)).toEqual(["q", "a"]);
  expect(first[1]!.metadata?.custom?.lines).toEqual([inner, deepest]);
  expect(first[0]!.metadata?.custom).toEqual({});
  expect(likes.of(thread([question, asks, inner, deepest]))[1]).toBe(first[1]);
  const later = { ...deepest, content: "deeper" };
  expect(likes.of(thread([question, asks, inner, later]))[1]!.metadata?.custom?.lines).toEqual([inner, later]);
});

it("does not take a sub-agent's half answer for the thread's last message", () => {
  const half: Message = { id: "h", role: "assistant", content: "half", subagentRunId: "c1", metadata: { carrel: { incomplete: true } } };
  expect(lack(thread([{ id: "q", role: "user", content: "q" }, { id: "a", role: "assistant", content: "done" }, half]))).toBeUndefined();
});

it("shows how far a call is until it has its result", () => {
  const likes = new Likes();
  const asks: Message = { id: "b", role: "assistant", content: "", toolCalls: [call("c1", "slow")] };
  const at = (done: number) => new Map([["c1", { done, total: 4, message: "working" }]]);
  expect(likes.of(thread([asks], { progress: at(1) }))[0]!.content).toMatchObject([{ artifact: { done: 1 } }]);
  const second = likes.of(thread([asks], { progress: at(2) }));
  expect(second[0]!.content).toMatchObject([{ artifact: { done: 2, total: 4, message: "working" } }]);
  const result: Message = { id: "c", role: "tool", content: "1", toolCallId: "c1" };
  expect(likes.of(thread([asks, result], { progress: at(3) }))[0]!.content).toMatchObject([{ result: "1", artifact: undefined }]);
});

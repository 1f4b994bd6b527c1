import { describe, expect, it } from "vitest";
import { CarrelTransport } from "../src/ai.ts";
import type { Chunk, UIMessage } from "../src/ai.ts";
import type { Message } from "../src/index.ts";
import { begin, end, finished, settled, started, text, World } from "./fake.ts";

const user = (id: string, said: string): UIMessage => ({ id, role: "user", parts: [{ type: "text", text: said, state: "done" }] });
const input = (messages: readonly UIMessage[], more: object = {}) => ({ trigger: "submit-message" as const, chatId: "t1", messages, abortSignal: undefined, ...more });
const asks = { id: "i1", reason: "tool_call", toolCallId: "c1" };
const call = (id: string, parentMessageId = "p") => [
  { type: "TOOL_CALL_START", toolCallId: id, toolCallName: "notes_clear", parentMessageId }, { type: "TOOL_CALL_ARGS", toolCallId: id, delta: "{}" }, { type: "TOOL_CALL_END", toolCallId: id },
];

interface RunFrame {
  readonly runId: string;
  readonly messages: readonly Message[];
  readonly resume?: readonly object[];
}

/** Reads a stream to its end. */
async function all(stream: ReadableStream<Chunk>): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for await (const chunk of stream as unknown as AsyncIterable<Chunk>) chunks.push(chunk);
  return chunks;
}

/** A thread in which the run r1 asks whether it may call a tool. */
async function asked() {
  const world = await World.connected();
  world.socket.events(1, "r1", started("r1", "delete it"), ...call("c1"), { type: "RUN_FINISHED", threadId: "t1", runId: "r1", outcome: { type: "interrupt", interrupts: [asks] } });
  const transport = new CarrelTransport(world);
  return { ...world, socket: world.socket, transport, messages: await transport.messages("t1") };
}

describe("a CarrelTransport", () => {
  it("sends the new message, and converts the run's events", async () => {
    const { client, socket } = await World.connected();
    const stream = await new CarrelTransport({ client }).sendMessages(input([user("stock 1", "hi")]));
    const run = socket.last("run") as unknown as RunFrame;
    expect(run.messages).toEqual([{ id: `${run.runId}.1`, role: "user", content: "hi", metadata: { clientId: "stock 1" } }]);
    const { runId } = run;
    socket.events(1, runId, started(runId, "hi"), begin("m"), text("m", "yes"), end("m"), finished(runId));
    expect(await all(stream)).toEqual([
      { type: "start", messageId: runId, messageMetadata: { carrel: { runId } } }, { type: "start-step" },
      { type: "text-start", id: "m" }, { type: "text-delta", id: "m", delta: "yes" }, { type: "text-end", id: "m" }, { type: "finish-step" }, { type: "finish" },
    ]);
  });

  it.each([
    ["a request to make an answer again", input([user("q", "hi")], { trigger: "regenerate-message" }), "only grows"],
    ["a request body", input([user("q", "hi")], { body: { model: "x" } }), "`body`"],
    ["a file", input([{ ...user("q", "hi"), parts: [{ type: "file" } as never] }]), "text only, not file"],
    ["nothing new", input([]), "no new message"],
  ])("refuses %s by name, and sends nothing", async (_, given, why) => {
    const { client, socket } = await World.connected();
    await expect(new CarrelTransport({ client }).sendMessages(given)).rejects.toThrow(why);
    expect(socket.all("run")).toEqual([]);
  });

  it.each([
    ["an edited message", [user("r1.q", "bye")]], ["a removed message", [user("other", "more")]],
  ])("refuses %s: the thread only grows", async (_, messages) => {
    const { client, socket } = await World.connected();
    socket.events(1, "r1", started("r1", "hi"), begin("m"), text("m", "yes"), end("m"), finished("r1"));
    const transport = new CarrelTransport({ client });
    expect((await transport.messages("t1")).map(({ id }) => id)).toEqual(["r1.q", "r1"]);
    await expect(transport.sendMessages(input(messages))).rejects.toThrow("only grows");
    expect(socket.all("run")).toEqual([]);
  });

  it.each([
    [true, { interruptId: "i1", status: "resolved" }], [false, { interruptId: "i1", status: "cancelled" }],
  ])("sends the decision of a person: approved %s", async (approved, answer) => {
    const { socket, transport, messages } = await asked();
    const [question, answered] = messages as [UIMessage, UIMessage];
    const part = answered.parts.find(({ type }) => type === "dynamic-tool");
    expect(part).toMatchObject({ toolCallId: "r1/c1", state: "approval-requested", approval: { id: "i1" } });
    expect(transport.isAnswered({ messages })).toBe(false);
    Object.assign(part!, { state: "approval-responded", approval: { id: "i1", approved } });
    expect(transport.isAnswered({ messages })).toBe(true);
    const stream = await transport.sendMessages(input([question, answered]));
    const run = socket.last("run") as unknown as RunFrame;
    expect(run).toMatchObject({ messages: [], resume: [answer] });
    const { runId } = run;
    socket.events(6, runId, { type: "RUN_STARTED", threadId: "t1", runId }, { type: "TOOL_CALL_RESULT", messageId: "x", toolCallId: "c1", content: "deleted" }, finished(runId));
    // The answer keeps its message, whose call gets the result.
    expect(await all(stream)).toEqual([{ type: "start" }, { type: "tool-output-available", toolCallId: "r1/c1", output: "deleted", dynamic: true }, { type: "finish" }]);
  });

  it("refuses the open questions with a message, as the page does", async () => {
    const { socket, transport, messages } = await asked();
    await transport.sendMessages(input([...messages, user("q2", "never mind")]));
    expect(socket.last("run")).toMatchObject({ messages: [{ content: "never mind" }], resume: [{ interruptId: "i1", status: "cancelled" }] });
  });

  it("gives the calls of two runs different ids, also if the model repeats its own", async () => {
    const { client, socket } = await World.connected();
    const result = { type: "TOOL_CALL_RESULT", messageId: "x", toolCallId: "c1", content: "1" };
    socket.events(1, "r1", started("r1", "one"), ...call("c1"), result, finished("r1"));
    socket.events(7, "r2", started("r2", "two"), ...call("c1", "p2"), { ...result, messageId: "y", content: "2" }, finished("r2"));
    const parts = (await new CarrelTransport({ client }).messages("t1")).flatMap((message) => message.parts).filter(({ type }) => type === "dynamic-tool");
    expect(parts).toMatchObject([{ toolCallId: "r1/c1", output: "1" }, { toolCallId: "r2/c1", output: "2" }]);
  });

  it("stops the run by the abort signal, and not with the stream", async () => {
    const { client, socket } = await World.connected();
    const abort = new AbortController();
    const stream = await new CarrelTransport({ client }).sendMessages(input([user("q", "hi")], { abortSignal: abort.signal }));
    const { runId } = socket.last("run") as unknown as RunFrame;
    socket.say({ type: "accepted", requestId: `run.${runId}`, runId, threadId: "t1", state: "running" });
    await stream.cancel();
    expect(socket.all("cancel")).toEqual([]);
    abort.abort();
    expect(socket.last("cancel")).toMatchObject({ runId });
  });

  it("brings the running answer from its beginning, and leaves it out of the restored messages", async () => {
    const { client, socket } = await World.connected();
    socket.events(1, "r1", started("r1", "hi"), begin("m"), text("m", "y"));
    const transport = new CarrelTransport({ client });
    expect((await transport.messages("t1")).map(({ id }) => id)).toEqual(["r1.q"]);
    const stream = await transport.reconnectToStream({ chatId: "t1" });
    socket.events(4, "r1", text("m", "es"), end("m"), finished("r1"));
    const chunks = await all(stream!);
    expect(chunks[0]).toMatchObject({ type: "start", messageId: "r1" });
    expect(chunks.flatMap((chunk) => ("delta" in chunk ? [chunk.delta] : []))).toEqual(["y", "es"]);
    expect(await transport.reconnectToStream({ chatId: "t1" })).toBeNull();
  });

  it("does not stop the run when a later call replaces an earlier one", async () => {
    const { client, socket } = await World.connected();
    socket.events(1, "r1", started("r1", "hi"));
    const transport = new CarrelTransport({ client });
    const [first, second] = [new AbortController(), new AbortController()];
    await transport.reconnectToStream({ chatId: "t1", abortSignal: first.signal });
    first.abort();
    await transport.reconnectToStream({ chatId: "t1", abortSignal: second.signal });
    await settled();
    expect(socket.all("cancel")).toEqual([]);
    second.abort();
    await settled();
    expect(socket.last("cancel")).toMatchObject({ runId: "r1" });
  });

  it("fails the stream with the server's words if the run is refused", async () => {
    const { client, socket } = await World.connected();
    const stream = await new CarrelTransport({ client }).sendMessages(input([user("q", "hi")]));
    const { runId } = socket.last("run") as unknown as RunFrame;
    socket.say({ type: "rejected", requestId: `run.${runId}`, runId, code: "too_many_runs", message: "Five runs are going on." });
    await expect(all(stream)).rejects.toThrow("Five runs are going on.");
  });
});

import { EventType, verifyEvents } from "@ag-ui/client";
import type { BaseEvent } from "@ag-ui/client";
import { lastValueFrom, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { CarrelAgent } from "../src/agui.ts";
import type { AgentEvent, Message } from "../src/index.ts";
import { begin, end, finished, settled, started, text, World } from "./fake.ts";

const input = (runId: string, content: string) => ({
  threadId: "t1", runId, messages: [{ id: `${runId}.q`, role: "user" as const, content }], tools: [], context: [], state: {}, forwardedProps: {},
});
const types = (events: readonly BaseEvent[]): string[] => events.map(({ type }) => type);

describe("a CarrelAgent", () => {
  it("runs, and has the messages of the thread", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1", initialMessages: input("r1", "hi").messages });
    const run = agent.runAgent({ runId: "r1" });
    await settled();
    expect(socket.last("run")).toMatchObject({ runId: "r1", threadId: "t1", messages: [{ id: "r1.1", role: "user", content: "hi", metadata: { clientId: "r1.q" } }] });
    socket.events(1, "r1", started("r1", "hi"), begin("m"), text("m", "he"));
    socket.events(4, "r1", text("m", "llo"), end("m"), finished("r1"));
    await run;
    expect(agent.messages).toMatchObject([{ role: "user", content: "hi" }, { role: "assistant", content: "hello" }]);
  });

  it("emits only the events of its own run", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1" });
    const events = lastValueFrom(agent.run(input("r2", "hi")).pipe(verifyEvents(), toArray()));
    socket.events(1, "r1", started("r1", "other"), begin("a"), end("a"), finished("r1"));
    socket.events(5, "r2", started("r2", "hi"), begin("m"), text("m", "x"), end("m"), finished("r2"));
    expect(types(await events)).toEqual(["RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "RUN_FINISHED"]);
  });

  it("reports a refusal as RUN_ERROR", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1" });
    const events = lastValueFrom(agent.run(input("r1", "hi")).pipe(verifyEvents(), toArray()));
    socket.say({ type: "rejected", requestId: "run.r1", runId: "r1", code: "too_many_runs", message: "Five runs are going on." });
    expect(await events).toEqual([{ type: EventType.RUN_ERROR, message: "Five runs are going on.", code: "too_many_runs" }]);
  });

  it("joins a run late: the snapshot, then the run from its start", async () => {
    const { client, socket } = await World.connected();
    socket.events(1, "r0", started("r0", "first"), begin("a"), text("a", "one"), end("a"), finished("r0"));
    socket.events(6, "r1", started("r1", "second"), begin("m"), text("m", "tw"));
    const agent = new CarrelAgent({ client, threadId: "t1" });
    const seen: BaseEvent[] = [];
    const connected = agent.connectAgent({}, { onEvent: ({ event }) => void seen.push(event) });
    await settled();
    socket.events(9, "r1", text("m", "o"), end("m"), finished("r1"));
    await connected;
    expect(types(seen).slice(0, 3)).toEqual(["RUN_STARTED", "MESSAGES_SNAPSHOT", "TEXT_MESSAGE_START"]);
    expect(agent.messages.map(({ content }) => content)).toEqual(["first", "one", "second", "two"]);
  });

  it("restates a thread without a running run", async () => {
    const { client, socket } = await World.connected();
    socket.events(1, "r0", started("r0", "first"), begin("a"), text("a", "one"), end("a"), finished("r0"));
    const agent = new CarrelAgent({ client, threadId: "t1" });
    await agent.connectAgent();
    expect(agent.messages.map(({ content }) => content)).toEqual(["first", "one"]);
  });

  it("adds the run to each restored message, and keeps its other metadata", async () => {
    const { client, socket } = await World.connected({ epoch: "e1", head: 9 });
    const messages = [
      { id: "r1.1", role: "user", content: "hi", metadata: { clientId: "stock 1", mine: 1 } },
      { id: "a", role: "assistant", content: "yes", metadata: { carrel: { stop: "end" } } }, { id: "b", role: "assistant", content: "?" },
    ];
    const runs = [{ runId: "r1", seq: 1, messages: 2, at: 1000, agent: "assistant", model: "m-1" }];
    socket.say({ type: "snapshot", n: 1, threadId: "t1", epoch: "e1", seq: 9, messages, runs, more: false });
    const agent = new CarrelAgent({ client, threadId: "t1" });
    await agent.connectAgent();
    const run = { runId: "r1", at: 1000, agent: "assistant", model: "m-1" };
    expect(agent.messages).toEqual([
      { id: "stock 1", role: "user", content: "hi", metadata: { clientId: "stock 1", mine: 1, carrel: run } },
      { id: "a", role: "assistant", content: "yes", metadata: { carrel: { stop: "end", ...run } } }, { id: "b", role: "assistant", content: "?" },
    ]);
  });

  it("ends with RUN_ERROR if it has missed the end of the run", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1" });
    const events = lastValueFrom(agent.run(input("r1", "hi")).pipe(verifyEvents(), toArray()));
    socket.events(1, "r1", started("r1", "hi"), begin("m"));
    socket.say({ type: "snapshot", n: 1, threadId: "t1", epoch: "e1", seq: 9, messages: [{ id: "m", role: "assistant", content: "all" }], more: false });
    expect(types(await events).slice(-2)).toEqual(["MESSAGES_SNAPSHOT", "RUN_ERROR"]);
  });

  it("waits for the events of an ended run while they may still arrive", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1" });
    const events = lastValueFrom(agent.run(input("r1", "hi")).pipe(verifyEvents(), toArray()));
    socket.events(3, "r1", finished("r1"));
    socket.say({ type: "accepted", requestId: "run.r1", runId: "r1", threadId: "t1", state: "ended" });
    await settled();
    socket.events(1, "r1", started("r1", "hi"));
    socket.ready({ epoch: "e1", head: 3, recovered: true });
    socket.events(2, "r1", { type: "CUSTOM" });
    expect(types(await events)).toEqual(["RUN_STARTED", "CUSTOM", "RUN_FINISHED"]);
    const repeated = lastValueFrom(new CarrelAgent({ client, threadId: "t1" }).run(input("r2", "again")).pipe(verifyEvents(), toArray()));
    socket.say({ type: "accepted", requestId: "run.r2", runId: "r2", threadId: "t1", state: "ended" });
    expect(types(await repeated)).toEqual(["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_ERROR"]);
  });

  it("stops its run", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1" });
    agent.run(input("r1", "hi")).subscribe();
    agent.abortRun();
    expect(socket.all("cancel")).toEqual([]);
    socket.say({ type: "accepted", requestId: "run.r1", runId: "r1", threadId: "t1", state: "running" });
    expect(socket.last("cancel")).toMatchObject({ runId: "r1" });
  });

  it("passes on the interrupts of a run, and sends the responses", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1", initialMessages: input("r1", "delete it").messages });
    const run = agent.runAgent({ runId: "r1" });
    await settled();
    const interrupts = [{ id: "i1", reason: "tool_call", toolCallId: "c1", expiresAt: "2999-01-01T00:00:00Z" }];
    const call = [
      { type: "TOOL_CALL_START", toolCallId: "c1", toolCallName: "notes_delete" }, { type: "TOOL_CALL_ARGS", toolCallId: "c1", delta: "{}" },
      { type: "TOOL_CALL_END", toolCallId: "c1" },
    ];
    socket.events(1, "r1", started("r1", "delete it"), ...call, { type: "RUN_FINISHED", threadId: "t1", runId: "r1", outcome: { type: "interrupt", interrupts } });
    await run;
    expect(agent.pendingInterrupts).toMatchObject([{ id: "i1" }]);
    const resume = [{ interruptId: "i1", status: "resolved" as const }];
    const answered = agent.runAgent({ runId: "r2", resume });
    await settled();
    expect(socket.last("run")).toMatchObject({ runId: "r2", messages: [], resume });
    const goesOn: AgentEvent = { type: "RUN_STARTED", threadId: "t1", runId: "r2", input: { threadId: "t1", runId: "r2", messages: [], resume } };
    socket.events(6, "r2", goesOn, { type: "TOOL_CALL_RESULT", messageId: "x", toolCallId: "c1", content: "deleted" }, finished("r2"));
    await answered;
    expect(agent.pendingInterrupts).toEqual([]);
    expect(agent.messages.at(-1)).toMatchObject({ role: "tool", content: "deleted" });
  });

  it("shows a stock client its own message ids, live and restated", async () => {
    const { client, socket } = await World.connected();
    const userMessage = { id: "stock 1", role: "user" as const, content: "hi" };
    const agent = new CarrelAgent({ client, threadId: "t1", initialMessages: [userMessage] });
    const run = agent.runAgent({ runId: "r1" });
    await settled();
    const { messages } = socket.last("run") as unknown as { messages: Message[] };
    expect(messages).toEqual([{ id: "r1.1", role: "user", content: "hi", metadata: { clientId: "stock 1" } }]);
    socket.events(1, "r1", { type: "RUN_STARTED", threadId: "t1", runId: "r1", input: { threadId: "t1", runId: "r1", messages } }, finished("r1"));
    await run;
    expect(agent.messages.map(({ id }) => id)).toEqual(["stock 1"]);
    const other = new CarrelAgent({ client, threadId: "t1" });
    await other.connectAgent();
    expect(other.messages.map(({ id }) => id)).toEqual(["stock 1"]);
    await expect(other.runAgent({ runId: "r2" })).rejects.toThrow("There is no new message of the user to send");
  });

  it.each(["seen to end", "restated by a snapshot"])("responds under a new run id when the interrupted run has ended: %s", async (how) => {
    const { client, socket } = await World.connected();
    const interrupts = [{ id: "i1", reason: "tool_call", metadata: { carrel: { runId: "r1", tool: "notes_delete" } } }];
    if (how === "seen to end") {
      socket.events(1, "r1", started("r1", "delete it"), { type: "RUN_FINISHED", threadId: "t1", runId: "r1", outcome: { type: "interrupt", interrupts } });
    } else {
      socket.ready({ epoch: "e1", head: 2, recovered: false, interrupts });
      socket.say({ type: "snapshot", n: 1, threadId: "t1", epoch: "e1", seq: 2, messages: [], interrupts, more: false });
    }
    const agent = new CarrelAgent({ client, threadId: "t1" });
    const events = lastValueFrom(agent.run({ ...input("r1", ""), messages: [], resume: [{ interruptId: "i1", status: "resolved" }] }).pipe(verifyEvents(), toArray()));
    const { runId } = socket.last("run") as unknown as { runId: string };
    expect(runId).not.toBe("r1");
    socket.events(3, runId, { type: "RUN_STARTED", threadId: "t1", runId, input: { threadId: "t1", runId, messages: [] } }, finished(runId));
    expect(types(await events)).toEqual(["RUN_STARTED", "RUN_FINISHED"]);
  });

  it("sends a new message under a new run id when that run has ended", async () => {
    const { client, socket } = await World.connected();
    socket.events(1, "r1", started("r1", "hi"), finished("r1"));
    new CarrelAgent({ client, threadId: "t1" }).run({ ...input("r1", "again"), messages: [{ id: "new", role: "user", content: "again" }] }).subscribe();
    const run = socket.last("run") as unknown as { runId: string; messages: Message[] };
    expect(run.runId).not.toBe("r1");
    expect(run.messages).toMatchObject([{ id: `${run.runId}.1`, content: "again" }]);
  });

  it("omits the response to an expired interrupt, and restates an open one", async () => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1" });
    agent.pendingInterrupts = [{ id: "i1", reason: "tool_call", expiresAt: "2000-01-01T00:00:00Z" }];
    agent.run({ ...input("r1", "hi"), resume: [{ interruptId: "i1", status: "cancelled" }] }).subscribe();
    expect(socket.last("run")).not.toHaveProperty("resume");
    socket.events(1, "r1", started("r1", "hi"), { type: "RUN_FINISHED", threadId: "t1", runId: "r1", outcome: { type: "interrupt", interrupts: [{ id: "i2", reason: "tool_call" }] } });
    const other = new CarrelAgent({ client, threadId: "t1" });
    await other.connectAgent();
    expect(other.pendingInterrupts).toMatchObject([{ id: "i2" }]);
  });

  it("requests the agent and the policy of its config", async () => {
    const { client, socket } = await World.connected();
    new CarrelAgent({ client, threadId: "t1", run: { agent: "writer", whenBusy: "interrupt" } }).run(input("r1", "hi")).subscribe();
    expect(socket.last("run")).toMatchObject({ agent: "writer", whenBusy: "interrupt" });
  });

  it.each([
    ["tools", { tools: [{ name: "paint", description: "", parameters: {} }] }],
    ["context", { context: [{ description: "page", value: "home" }] }],
    ["state", { state: { count: 1 } }],
    ["forwardedProps", { forwardedProps: { model: "x" } }],
  ])("refuses %s by name, and sends nothing", async (name, more) => {
    const { client, socket } = await World.connected();
    const agent = new CarrelAgent({ client, threadId: "t1" });
    await expect(lastValueFrom(agent.run({ ...input("r1", "hi"), ...more }))).rejects.toThrow(`\`${name}\``);
    expect(socket.all("run")).toEqual([]);
  });

  describe("after a message and its answer", () => {
    const userMessage = { id: "q", role: "user" as const, content: "hi" };
    async function answered() {
      const { client, socket } = await World.connected();
      const agent = new CarrelAgent({ client, threadId: "t1", initialMessages: [userMessage] });
      const run = agent.runAgent({ runId: "r1" });
      await settled();
      const { messages } = socket.last("run") as unknown as { messages: Message[] };
      socket.events(1, "r1", { type: "RUN_STARTED", threadId: "t1", runId: "r1", input: { threadId: "t1", runId: "r1", messages } },
        begin("m"), text("m", "hello"), end("m"), finished("r1"));
      await run;
      return { agent, socket };
    }

    it.each([
      ["an edited message under its id", [{ ...userMessage, content: "bye" }]],
      ["an edited message under a new id", [{ ...userMessage, id: "q2", content: "bye" }]],
      ["a removed message", [{ id: "q3", role: "user" as const, content: "more" }]],
    ])("refuses %s: the thread only grows", async (_, messages) => {
      const { agent, socket } = await answered();
      agent.setMessages(messages);
      await expect(agent.runAgent({ runId: "r2" })).rejects.toThrow("only grows");
      expect(socket.all("run")).toHaveLength(1);
    });

    it("accepts an appended message", async () => {
      const { agent, socket } = await answered();
      agent.addMessage({ id: "q4", role: "user", content: "more" });
      void agent.runAgent({ runId: "r2" });
      await settled();
      expect(socket.last("run")).toMatchObject({ messages: [{ id: "r2.1", content: "more" }] });
    });
  });

  it("refuses the open interrupts if a message has no responses, as the page does", async () => {
    const { client, socket } = await World.connected();
    const interrupts = [{ id: "i1", reason: "tool_call" }, { id: "i2", reason: "tool_call" }];
    socket.events(1, "r1", started("r1", "delete it"), { type: "RUN_FINISHED", threadId: "t1", runId: "r1", outcome: { type: "interrupt", interrupts } });
    new CarrelAgent({ client, threadId: "t1" }).run(input("r2", "never mind")).subscribe();
    expect(socket.last("run")).toMatchObject({
      messages: [{ content: "never mind" }], resume: [{ interruptId: "i1", status: "cancelled" }, { interruptId: "i2", status: "cancelled" }],
    });
  });

  it.each([[true], [false]])("ends the promise of a run when the client leaves its thread, begun: %s", async (begun) => {
    const { client, socket } = await World.connected();
    const events = lastValueFrom(new CarrelAgent({ client, threadId: "t1" }).run(input("r1", "hi")).pipe(toArray()));
    if (begun) socket.events(1, "r1", started("r1", "hi"), begin("m"));
    client.open("t2");
    expect((await events).at(-1)).toMatchObject({ type: "RUN_ERROR", code: "elsewhere" });
    expect(socket.all("cancel")).toEqual([]);
  });

  it("ends the promise of a connect when the client leaves its thread", async () => {
    const { client } = await World.connected();
    client.open("t1b");
    const agent = new CarrelAgent({ client, threadId: "t1" });
    const seen: BaseEvent[] = [];
    const connected = agent.connectAgent({}, { onEvent: ({ event }) => void seen.push(event) });
    await settled();
    client.open("t2");
    await connected;
    expect(seen.at(-1)).toMatchObject({ type: "RUN_ERROR", code: "elsewhere" });
  });

  it("declares its capabilities", async () => {
    const { client } = await World.connected();
    expect(await new CarrelAgent({ client, threadId: "t1" }).getCapabilities()).toMatchObject({
      transport: { resumable: true }, tools: { clientProvided: false }, humanInTheLoop: { approvals: true, approveWithEdits: true },
    });
  });
});

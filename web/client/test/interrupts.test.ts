import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkRun } from "../src/codec.ts";
import { approve, refuse } from "../src/index.ts";
import type { AgentEvent, Interrupt, Resume } from "../src/index.ts";
import { finished, settled, started, World } from "./fake.ts";

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

const question = (id: string): Interrupt => ({ id, reason: "tool_call", toolCallId: `c.${id}`, metadata: { carrel: { tool: "notes_delete" } } });
const interruptsRun = (runId: string, ...ids: string[]): AgentEvent =>
  ({ type: "RUN_FINISHED", threadId: "t1", runId, outcome: { type: "interrupt", interrupts: ids.map(question) } });
const goesOn = (runId: string, ...ids: string[]): AgentEvent => ({
  type: "RUN_STARTED", threadId: "t1", runId,
  input: { threadId: "t1", runId, messages: [], resume: ids.map((interruptId) => ({ interruptId, status: "resolved" })) },
});
const yes = (interruptId: string): Resume => ({ interruptId, status: "resolved" });
const open = ({ client }: World): string => client.state.thread!.interrupts.map(({ id }) => id).join(" ");

/** A world whose thread has open interrupts. */
async function interrupted(...ids: string[]): Promise<World> {
  const world = await World.connected();
  world.socket.events(1, "r1", started("r1", "delete it"), interruptsRun("r1", ...ids));
  return world;
}

describe("an interrupt", () => {
  it("is open from the end of its run until a run with responses begins", async () => {
    const world = await interrupted("i1", "i2");
    expect(open(world)).toBe("i1 i2");
    expect(world.client.state.thread).toMatchObject({ stopped: false, queue: [] });
    world.socket.events(3, "r2", goesOn("r2", "i1", "i2"));
    expect(open(world)).toBe("");
    world.socket.events(4, "r2", interruptsRun("r2", "i3"));
    expect(open(world)).toBe("i3");
  });

  it("arrives with ready and with snapshot", async () => {
    const world = await World.connected({ epoch: "e1", head: 9, interrupts: [question("i1")] });
    expect(open(world)).toBe("i1");
    world.socket.say({ type: "snapshot", n: 1, threadId: "t1", epoch: "e1", seq: 9, messages: [], interrupts: [question("i2")], more: false });
    expect(open(world)).toBe("i2");
    world.socket.ready({ epoch: "e1", head: 9, recovered: true, interrupts: [] });
    expect(open(world)).toBe("");
  });

  it("is not changed by a late ready that was read earlier", async () => {
    const world = await interrupted("i1");
    world.socket.ready({ epoch: "e1", head: 1, recovered: true });
    expect(open(world)).toBe("i1");
    world.socket.events(3, "r2", goesOn("r2", "i1"));
    world.socket.ready({ epoch: "e1", head: 3, recovered: true, interrupts: [question("i1")] });
    expect(open(world)).toBe("");
  });

  it("is hidden while a run responds to all interrupts of the thread", async () => {
    const world = await interrupted("i1", "i2");
    const { client, socket } = world;
    expect(() => client.respond("t1", [yes("i1")])).toThrow("Answer every open question.");
    expect(() => client.respond("t1", [])).toThrow("Answer every open question.");
    const runId = client.respond("t1", [yes("i1"), { interruptId: "i2", status: "cancelled" }], "no");
    expect(socket.last("run")).toMatchObject({
      n: 2, runId, threadId: "t1", messages: [{ id: `${runId}.1`, content: "no" }], resume: [yes("i1"), { interruptId: "i2", status: "cancelled" }],
    });
    expect(open(world)).toBe("");
    socket.say({ type: "accepted", requestId: `run.${runId}`, runId, threadId: "t1", state: "running" });
    expect(open(world)).toBe("");
    expect(client.state.thread?.active).toBe(runId);
  });

  it("can be answered in a thread that is not open, and opens again", async () => {
    const { client, socket } = await World.connected();
    const runId = client.respond("t2", [yes("i1")]);
    expect(socket.last("run")).toMatchObject({ runId, threadId: "t2", messages: [] });
    expect(socket.last("hello")).toMatchObject({ n: 3, threadId: "t1" });
  });

  it("is replaced when another device has responded first", async () => {
    const world = await interrupted("i1");
    const { client, socket } = world;
    const runId = client.respond("t1", [yes("i1")]);
    const refused = expect(client.settled(runId)).rejects.toMatchObject({ code: "interrupted" });
    socket.say({ type: "rejected", requestId: `run.${runId}`, runId, code: "interrupted", message: "Answered already.", interrupts: [question("i7")] });
    await refused;
    expect(open(world)).toBe("i7");
    expect(client.state.notices).toMatchObject([{ code: "interrupted", runId }]);
    const again = client.respond("t1", [yes("i7")]);
    socket.say({ type: "rejected", requestId: `run.${again}`, runId: again, code: "interrupted", message: "Answered already." });
    expect(open(world)).toBe("");
  });

  it("opens again when the responding run ends before it begins", async () => {
    const world = await interrupted("i1");
    const { client, socket } = world;
    const runId = client.respond("t1", [yes("i1")]);
    socket.say({ type: "accepted", requestId: `run.${runId}`, runId, threadId: "t1", state: "queued" });
    socket.say({ type: "ended", runId, threadId: "t1", status: "cancelled" });
    expect(open(world)).toBe("i1");
  });

  it("is closed once a run without responses starts, because it has expired", async () => {
    const world = await interrupted("i1");
    world.socket.events(3, "r2", started("r2", "go on"), finished("r2"));
    expect(open(world)).toBe("");
  });
});

describe("a run beyond the rate limit", () => {
  it("is refused with the time of the earliest retry", async () => {
    const { client, socket } = await World.connected();
    const runId = client.send("hello");
    const refused = expect(client.settled(runId)).rejects.toMatchObject({ code: "rate_limited", retryAfterMs: 6000 });
    socket.say({ type: "rejected", requestId: `run.${runId}`, runId, code: "rate_limited", message: "Too many runs.", retryAfterMs: 6000 });
    await refused;
    expect(client.state.notices).toEqual([{ code: "rate_limited", message: "Too many runs.", runId, retryAfterMs: 6000, retryAt: 6000 }]);
    expect(client.state.thread?.queue).toEqual([]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.all("run")).toHaveLength(1);
  });
});

describe("the list of runs", () => {
  it("is requested in pages", async () => {
    const { client, socket } = await World.connected();
    const first = client.runs();
    expect(socket.last("runs")).toEqual({ type: "runs", requestId: "runs" });
    socket.say({ type: "runs", requestId: "runs", runs: [{ runId: "r9", threadId: "t1", status: "running", created: 1, attempts: 1 }], more: true });
    await expect(first).resolves.toMatchObject({ more: true, runs: [{ runId: "r9" }] });
    const second = client.runs("r9", 5);
    expect(socket.last("runs")).toEqual({ type: "runs", requestId: "runs", before: "r9", limit: 5 });
    socket.say({ type: "runs", requestId: "runs", runs: [], more: false });
    await expect(second).resolves.toMatchObject({ more: false });
  });
});

describe("erasing", () => {
  it("removes everything at once, and the client does not reconnect", async () => {
    const world = await interrupted("i1");
    const { client, socket } = world;
    const threads = client.threads();
    const refused = expect(threads).rejects.toMatchObject({ code: "erasing" });
    const erased = client.erase();
    expect(socket.last("erase")).toEqual({ type: "erase", requestId: "erase", confirm: true });
    socket.say({ type: "accepted", requestId: "erase", state: "erasing" });
    await erased;
    await refused;
    expect(client.state).toMatchObject({ erasure: "erasing" });
    expect(() => client.send("more")).toThrow("being deleted");
    await expect(client.threads()).rejects.toThrow("being deleted");
    // A late refusal of an earlier request: the client still waits for done.
    socket.say({ type: "error", requestId: "threads", code: "erasing", message: "Everything is being erased." });
    await vi.advanceTimersByTimeAsync(600_000);
    expect([socket.closed, socket.all("ping")]).toEqual([false, []]);
    socket.say({ type: "done" });
    expect(client.state).toMatchObject({ status: "erasing", erasure: "erased", threads: [], thread: { messages: [], interrupts: [] } });
    expect(socket.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([client.state.erasure, world.sockets.length]).toEqual(["erased", 1]);
  });

  it("is noticed by a tab that did not request it", async () => {
    const { client, socket } = await World.connected();
    const runId = client.send("hello");
    const refused = expect(client.settled(runId)).rejects.toMatchObject({ code: "erasing" });
    socket.say({ type: "rejected", requestId: `run.${runId}`, runId, code: "erasing", message: "Everything is being erased." });
    await refused;
    expect(client.state).toMatchObject({ status: "erasing", erasure: "erasing" });
  });

  it("is noticed by the hello of a new tab, which retries only when the user connects again", async () => {
    const world = new World();
    world.client.open("t1");
    world.client.connect();
    await settled();
    world.socket.onopen?.();
    world.socket.say({ type: "error", requestId: "hello.1", code: "erasing", message: "Everything is being erased." });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([world.client.state.erasure, world.sockets.length]).toEqual(["erasing", 1]);
    world.client.connect();
    await settled();
    world.socket.onopen?.();
    expect(world.client.state).toMatchObject({ status: "connecting", erasure: "erasing" });
    world.socket.ready();
    expect(world.client.state).toMatchObject({ status: "ready" });
    expect(world.client.state).not.toHaveProperty("gone");
  });
});

describe("a response", () => {
  it("approves, refuses, or approves other arguments", () => {
    const interrupt = question("i");
    expect(approve(interrupt)).toEqual({ interruptId: "i", status: "resolved" });
    expect(approve(interrupt, { number: 2 })).toEqual({ interruptId: "i", status: "resolved", payload: { approved: true, arguments: { number: 2 } } });
    expect(refuse(interrupt)).toEqual({ interruptId: "i", status: "cancelled" });
  });

  it.each([[NaN], [Infinity], [1n], [new Date(0)], [new Map()], [() => 1], [[undefined]], [{ a: { b: NaN } }], ["\ud83d"], [{ "\ud83d": 1 }], [Symbol("s")]])(
    "that JSON would change is not sent: %s", (payload) => {
      const run = { messages: [], resume: [{ interruptId: "i", status: "resolved", payload }] } as const;
      expect(() => checkRun(run, { textBytes: 1000, messages: 8 })).toThrow("cannot be sent exactly");
    });

  it.each([[0], [-1.5], ["👩‍🚀"], [false], [[1, null, "a"]], [{ a: { b: [] }, left: undefined }]])("that is JSON is sent: %j", (payload) => {
    expect(() => checkRun({ messages: [], resume: [{ interruptId: "i", status: "resolved", payload }] }, { textBytes: 1000, messages: 8 })).not.toThrow();
  });
});

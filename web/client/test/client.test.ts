import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RefusedError } from "../src/index.ts";
import { begin, end, finished, settled, started, text, World } from "./fake.ts";

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

describe("a CarrelClient", () => {
  it("connects with the token of a callback and sends the open thread in hello", async () => {
    const { socket, client } = await World.connected();
    expect(socket.protocols).toEqual(["carrel.v1", "bearer.token1"]);
    expect(socket.url).toBe("wss://carrel.test/v1");
    expect(socket.last("hello")).toMatchObject({ n: 1, threadId: "t1" });
    expect(client.state).toMatchObject({ status: "ready", thread: { threadId: "t1", loaded: true } });
  });

  it("shows a sent text at once, then the messages of the run", async () => {
    const { socket, client } = await World.connected();
    const runId = client.send("hello");
    expect(client.state.thread?.queue).toMatchObject([{ runId, state: "sending", messages: [{ content: "hello" }] }]);
    socket.say({ type: "accepted", requestId: `run.${runId}`, runId, threadId: "t1", state: "running" });
    expect(client.state.thread).toMatchObject({ active: runId, queue: [{ state: "starting" }] });
    socket.events(1, runId, started(runId, "hello"), begin("m"), text("m", "hi"), end("m"), finished(runId));
    expect(client.state.thread).toMatchObject({ queue: [], messages: [{ content: "hello" }, { content: "hi" }] });
    expect(client.state.thread).not.toHaveProperty("active");
  });

  it("returns the same state object until something changes", async () => {
    const { socket, client } = await World.connected();
    const before = client.state;
    expect(client.state).toBe(before);
    let notified = 0;
    client.subscribe(() => notified++);
    socket.events(1, "r", started("r", "x"));
    expect(notified).toBe(1);
    expect(client.state).not.toBe(before);
  });

  it("refuses a text over 24 KB before sending, with a message for users", async () => {
    const { socket, client } = await World.connected();
    expect(() => client.send("é".repeat(17_000))).toThrow(/too long to send: 34 KB, and at most 24 KB/);
    expect(socket.all("run")).toEqual([]);
    expect(client.state.thread?.queue).toEqual([]);
    expect(() => client.send("  ")).toThrow("Write something first.");
  });

  it("reconnects with growing pauses, each time with a new token and its cursor", async () => {
    const world = await World.connected();
    world.socket.events(1, "r", started("r", "x"));
    world.socket.onclose?.();
    expect(world.client.state.status).toBe("lost");
    await vi.advanceTimersByTimeAsync(1000);
    expect(world.sockets).toHaveLength(2);
    world.socket.onclose?.();
    await vi.advanceTimersByTimeAsync(1999);
    expect(world.sockets).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(world.sockets).toHaveLength(3);
    expect(world.socket.protocols[1]).toBe("bearer.token3");
    world.socket.onopen?.();
    expect(world.socket.last("hello")).toMatchObject({ n: 1, cursor: { epoch: "e1", seq: 1 } });
  });

  it.each([[0], [-3_600_000], [-90_000], [3_600_000]])("notices a dead socket in the same time when the device's clock moves by %i ms", async (moved) => {
    const world = await World.connected();
    world.client.send("x");
    vi.setSystemTime(Date.now() + moved);
    await vi.advanceTimersByTimeAsync(15_000); // the client sends a ping and receives no pong
    expect(world.socket.all("ping")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(10_000 + 1000);
    expect(world.sockets).toHaveLength(2);
  });

  it("reports a socket that cannot be created, and tries again", async () => {
    const world = new World();
    world.refuseSocket = "WebSocket is not defined";
    world.client.open("t1");
    world.client.connect();
    await settled();
    expect(world.client.state).toMatchObject({ status: "lost", fault: "No socket can be opened: WebSocket is not defined" });
    world.refuseSocket = undefined;
    await vi.advanceTimersByTimeAsync(1000);
    world.socket.onopen?.();
    world.socket.ready();
    expect(world.client.state.status).toBe("ready");
    expect(world.client.state).not.toHaveProperty("fault");
  });

  it("opens the next socket before it leaves the old one", async () => {
    const world = await World.connected({ reconnectInMs: 60_000 });
    const [old] = world.sockets;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.sockets).toHaveLength(2);
    expect(old!.closed).toBe(false);
    old!.events(1, "r", started("r", "x"));
    expect(world.client.state.thread?.active).toBe("r");
    world.socket.onopen?.();
    expect(world.socket.last("hello")).toMatchObject({ n: 1, cursor: { seq: 1 } });
    expect(old!.closed).toBe(false);
    world.socket.ready({ epoch: "e1", head: 1, recovered: true });
    expect(old!.closed).toBe(true);
    expect(world.client.state.status).toBe("ready");
    old!.events(2, "r", begin("m"));
    expect(world.client.state.thread?.cursor?.seq).toBe(1);
  });

  it("lists the unsent messages of all threads", async () => {
    const { client, socket } = await World.connected();
    client.send("out");
    client.send("behind it");
    const texts = () => [...client.unsent()].map(([threadId, messages]) => [threadId, ...messages.map(({ content }) => content)]);
    expect(texts()).toEqual([["t1", "behind it"]]);
    socket.onclose?.();
    client.open("t2");
    client.send("elsewhere");
    expect(texts()).toEqual([["t1", "out", "behind it"], ["t2", "elsewhere"]]);
  });

  it("reports a missing token, and tries again", async () => {
    const world = new World();
    world.refuseToken = true;
    world.client.open("t1");
    world.client.connect();
    await settled();
    expect(world.client.state.fault).toContain("no user is signed in");
    world.refuseToken = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(world.sockets).toHaveLength(1);
  });

  it("reconnects after replaced only when it is used again", async () => {
    const world = await World.connected();
    world.socket.say({ type: "error", code: "replaced", message: "This window was closed: you have ten others." });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(world.client.state.status).toBe("replaced");
    expect(world.sockets).toHaveLength(1);
    expect(world.sockets[0]!.closed).toBe(true);
    world.client.connect();
    await settled();
    expect(world.sockets).toHaveLength(2);
  });

  it("resolves the promises of threads, history and cancel, and rejects them when refused", async () => {
    const { socket, client } = await World.connected({ epoch: "e1", head: 9 });
    socket.say({ type: "snapshot", n: 1, threadId: "t1", epoch: "e1", seq: 9, messages: [{ id: "b", role: "user", content: "b" }], more: true, before: 7 });
    const threads = client.threads();
    socket.say({ type: "threads", requestId: "threads", threads: [{ threadId: "t1", title: "T", created: 1, updated: 1, head: 9 }], more: true, before: "c1" });
    await expect(threads).resolves.toMatchObject({ more: true });
    expect(client.state).toMatchObject({ moreThreads: true, threads: [{ title: "T" }] });
    const history = client.history();
    expect(socket.last("history")).toMatchObject({ threadId: "t1", before: 7 });
    socket.say({ type: "history", requestId: "history", threadId: "t1", epoch: "e1", messages: [{ id: "a", role: "user", content: "a" }], more: false });
    await history;
    expect(client.state.thread).toMatchObject({ more: false, messages: [{ id: "a" }, { id: "b" }] });
    const cancel = client.cancel("r");
    socket.say({ type: "error", requestId: "cancel.r", code: "not_found", message: "The run does not exist." });
    await expect(cancel).rejects.toThrow(RefusedError);
  });

  it("closes its socket and timers, and rejects open requests", async () => {
    const { client, socket } = await World.connected();
    const threads = client.threads();
    client.close();
    await expect(threads).rejects.toThrow("closed");
    expect(socket.closed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
    expect(client.state.status).toBe("closed");
  });
});

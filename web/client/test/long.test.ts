import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CarrelClient, Folder } from "../src/index.ts";
import type { AgentEvent } from "../src/index.ts";
import { begin, end, FakeSocket, finished, started, text } from "./fake.ts";
import { dice } from "./model.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A gateway with one thread. It ends each socket after two hours; a token is valid for 50 minutes. */
class Edge {
  readonly log: { runId: string; event: AgentEvent }[] = [];
  active: string | undefined;
  issuing = true;
  requestedTokens = 0;
  /** Sockets that the gateway has ended, and sockets that opened while another one was in use. */
  cut = 0;
  handovers = 0;
  readonly #open = new Map<FakeSocket, { expires: number; answered: boolean }>();

  token = async (): Promise<string> => {
    this.requestedTokens++;
    if (!this.issuing) throw new Error("the issuer does not answer");
    return String(Date.now() + 50 * MINUTE);
  };

  socket = (url: string, protocols: string[]): FakeSocket => {
    const socket = new FakeSocket(url, protocols);
    const expires = Number(protocols[1]!.slice("bearer.".length));
    if ([...this.#open].some(([other, { answered }]) => answered && !other.closed)) this.handovers++;
    setTimeout(() => {
      this.#open.set(socket, { expires, answered: false });
      socket.onopen?.();
    }, 20);
    setTimeout(() => {
      if (!socket.closed) this.cut++;
      socket.onclose?.();
    }, 2 * HOUR);
    socket.send = (frame) => void setTimeout(() => this.#receive(socket, JSON.parse(frame) as { type: string; n: number; cursor?: { seq: number } }), 5);
    return socket;
  };

  say(runId: string, event: AgentEvent): void {
    this.log.push({ runId, event });
    for (const [socket, { expires, answered }] of this.#open) {
      if (answered && Date.now() < expires) socket.events(this.log.length, runId, event);
    }
  }

  #receive(socket: FakeSocket, { type, n, cursor }: { type: string; n: number; cursor?: { seq: number } }): void {
    const state = this.#open.get(socket)!;
    if (Date.now() > state.expires) return socket.say({ type: "error", code: "token_expired", message: "Sign in again." });
    const run = { runId: this.active, threadId: "t1", status: "running" };
    const position = { threadId: "t1", ...(this.log.length > 0 && { epoch: "e1" }), head: this.log.length };
    if (type === "ping") return socket.say({ type: "pong", requestId: "ping", ...position, runs: this.active ? [run] : [] });
    state.answered = true;
    socket.say({
      type: "ready", n, connectionId: "c", ...position, recovered: cursor !== undefined, ...(this.active && { active: run }),
      reconnectInMs: Math.min(2 * HOUR - 10 * MINUTE, state.expires - MINUTE - Date.now()),
    });
    for (let seq = (cursor?.seq ?? 0) + 1; seq <= this.log.length; seq++) {
      const { runId, event } = this.log[seq - 1]!;
      socket.events(seq, runId, event);
    }
  }
}

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

it("applies each event once in ten hours with short tokens, changes of sockets and an issuer that fails for a while", async () => {
  const edge = new Edge();
  const random = dice(7);
  const client = new CarrelClient({ url: "wss://carrel.test/v1", token: edge.token, socket: edge.socket, random });
  const applied: number[] = [];
  let lost = 0;
  let status: string = client.state.status;
  client.onEvent(({ seq }) => void applied.push(seq));
  client.subscribe(() => {
    if (client.state.status === "lost" && status !== "lost") lost++;
    status = client.state.status;
  });
  client.open("t1");
  client.connect();
  await vi.advanceTimersByTimeAsync(1000);
  const until = Date.now() + 10 * HOUR;
  for (let i = 0; Date.now() < until; i++) {
    const runId = `r${i}`;
    edge.active = runId;
    for (const event of [started(runId, "?"), begin(`m${i}`)]) edge.say(runId, event);
    for (let k = Math.floor(random() * 60); k > 0; k--) {
      await vi.advanceTimersByTimeAsync(random() * 20_000);
      edge.say(runId, text(`m${i}`, "x "));
    }
    edge.say(runId, end(`m${i}`));
    edge.active = undefined;
    edge.say(runId, finished(runId));
    if (i === 10) await vi.advanceTimersByTimeAsync(HOUR);
    if (i === 20) {
      edge.issuing = false;
      setTimeout(() => { edge.issuing = true; }, 80 * MINUTE);
    }
    await vi.advanceTimersByTimeAsync(random() * MINUTE);
  }
  await vi.advanceTimersByTimeAsync(6 * MINUTE);
  const expected = new Folder();
  for (const { event } of edge.log) expected.add(event);
  expect(applied).toEqual(edge.log.map((_, index) => index + 1));
  expect(client.state.thread).toMatchObject({ lagging: false, gap: 0, messages: expected.messages });
  // The client loses its socket only once: the socket expires while the issuer gives no tokens.
  expect(lost).toBe(1);
  expect(edge.cut).toBe(0);
  expect(edge.handovers).toBeGreaterThan(9);
  expect(edge.requestedTokens).toBeLessThan(600);
  client.close();
}, 60_000);

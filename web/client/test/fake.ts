import { CarrelClient } from "../src/index.ts";
import type { AgentEvent, Socket } from "../src/index.ts";

type Frame = Record<string, unknown> & { type: string };

/** A socket without a network: the test is the server. */
export class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  readonly sent: Frame[] = [];
  closed = false;

  constructor(readonly url: string, readonly protocols: readonly string[]) {}

  send(text: string): void {
    if (this.closed) throw new Error("sent on a closed socket");
    this.sent.push(JSON.parse(text) as Frame);
  }
  close(): void {
    this.closed = true;
  }
  /** The sent frames of a type. */
  all(type: string): Frame[] {
    return this.sent.filter((frame) => frame.type === type);
  }
  last(type: string): Frame {
    const frame = this.all(type).at(-1);
    if (!frame) throw new Error(`no ${type} was sent, only ${JSON.stringify(this.sent)}`);
    return frame;
  }
  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  ready(more: object = {}): void {
    const { n, threadId = "t1" } = this.last("hello");
    this.say({ type: "ready", n, connectionId: "c=", threadId, head: 0, recovered: false, queued: [], interrupts: [], limits: {}, ...more });
  }
  events(seq: number, runId: string, ...events: AgentEvent[]): void {
    this.say({ type: "events", threadId: "t1", epoch: "e1", seq, runId, events });
  }
}

/** A client with fake sockets, ids, tokens and random numbers, which the test controls. */
export class World {
  readonly sockets: FakeSocket[] = [];
  tokens = 0;
  refuseToken = false;
  refuseSocket: string | undefined;
  readonly client: CarrelClient;

  constructor() {
    let ids = 0;
    this.client = new CarrelClient({
      url: "wss://carrel.test/v1", random: () => 1, id: () => `id${++ids}`,
      token: async () => {
        if (this.refuseToken) throw new Error("no user is signed in");
        return `token${++this.tokens}`;
      },
      socket: (url, protocols) => {
        if (this.refuseSocket !== undefined) throw new ReferenceError(this.refuseSocket);
        const socket = new FakeSocket(url, protocols);
        this.sockets.push(socket);
        return socket;
      },
    });
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  /** Returns a world whose client has opened t1 on a socket, and has received ready there. */
  static async connected(ready: object = {}): Promise<World> {
    const world = new World();
    world.client.open("t1");
    world.client.connect();
    await settled();
    world.socket.onopen?.();
    world.socket.ready(ready);
    return world;
  }
}

/** Lets settled promises call their handlers. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

export const started = (runId: string, text: string): AgentEvent => ({
  type: "RUN_STARTED", threadId: "t1", runId, input: { threadId: "t1", runId, messages: [{ id: `${runId}.q`, role: "user", content: text }] },
});
export const finished = (runId: string, outcome = "success"): AgentEvent => ({ type: "RUN_FINISHED", threadId: "t1", runId, outcome: { type: outcome } });
export const begin = (messageId: string): AgentEvent => ({ type: "TEXT_MESSAGE_START", messageId, role: "assistant" });
export const text = (messageId: string, delta: string): AgentEvent => ({ type: "TEXT_MESSAGE_CONTENT", messageId, delta });
export const end = (messageId: string): AgentEvent => ({ type: "TEXT_MESSAGE_END", messageId });

import type { AgentEvent, Interrupt } from "../src/index.ts";
import type { Link } from "./model-net.ts";
import type { Frame, Life, Request, Server } from "./model-server.ts";

/** Events that a hello replays instead of a snapshot. */
const MAX_REPLAY = 40;

/** A thread as one read finds it. */
interface Position { life: Life | undefined; head: number; open: readonly Interrupt[] }

/** Serves one hello, read by read. */
export class Hello {
  #queue: Frame[] = [];
  constructor(readonly server: Server, readonly f: Request, readonly say: (...frames: Frame[]) => void) {}

  /** Stores the connection's thread, and reads the thread beside that if the client sent no cursor. Everything else is read afterwards. */
  begin(link: Link): void {
    const { threadId, n, cursor } = this.f;
    let moved = false;
    let before: Position = { life: undefined, head: 0, open: [] };
    const watch = (): void => void (moved = this.server.watch(link, threadId, n) !== threadId);
    this.server.together(() => {
      if (moved) return;
      if (cursor) this.#byCursor(cursor);
      else this.#forSnapshot(before);
    }, watch, ...(cursor ? [] : [() => void (before = this.#position())]));
  }

  #position(): Position {
    const { life } = this.server.thread(this.f.threadId);
    return { life, head: life?.head ?? 0, open: life?.open ?? [] };
  }
  readonly #readQueue = (): void => void (this.#queue = this.server.states().filter((r) => r.threadId === this.f.threadId));

  /** Reads the log of the cursor's epoch at the same time as the thread. A cursor that is of no use leads to a snapshot. */
  #byCursor(cursor: { epoch: string; seq: number }): void {
    const { threadId } = this.f;
    const life = this.server.thread(threadId).lives.get(cursor.epoch);
    let now = this.#position();
    let [end, floor] = [0, 0];
    this.server.together(() => {
      const to = Math.max(now.head, end);
      if (!now.life) return this.say(this.#ready(now, 0, false));
      const usable = now.life === life && cursor.seq <= to && cursor.seq >= floor && to - cursor.seq <= MAX_REPLAY;
      if (!usable) return this.#forSnapshot(now);
      this.say(this.#ready(now, to, true), ...life.records(threadId, cursor.seq, to));
    }, () => void (now = this.#position()), this.#readQueue, () => {
      if (life) [end, floor] = [life.log.length, life.floor];
    });
  }

  /** Reads the log after the thread's head. If the thread has another epoch by now, it reads again. */
  #forSnapshot(before: Position): void {
    const { threadId, n, cursor } = this.f;
    const { life, head, open } = before;
    let now = before;
    let to = head;
    this.server.together(() => {
      if (now.life !== life) return this.#forSnapshot(now);
      const ready = this.#ready(now.head === head ? now : before, to, life === undefined && !cursor);
      if (!life) return this.say(ready);
      const snapshot = { type: "snapshot", n, threadId, epoch: life.epoch, seq: head, messages: life.messages(head), interrupts: open, more: false };
      this.say(ready, snapshot, ...life.records(threadId, head, to));
    }, () => void (now = this.#position()), this.#readQueue, () => {
      if (life) to = life.log.length;
    });
  }

  #ready({ life, head, open }: Position, to: number, recovered: boolean): Frame {
    const { f: { threadId, n, requestId }, server: { world } } = this;
    const active = this.#queue.find(({ status }) => status === "running");
    return {
      type: "ready", requestId, n, connectionId: "c", threadId, head: to, recovered, ...(active && { active }), ...(life && { epoch: life.epoch }),
      queued: this.#queue.filter(({ status }) => status === "queued"), interrupts: life ? carried(open, life.log.slice(head, to)) : [], limits: {},
      ...(world.chance(world.traits.handovers) && { reconnectInMs: world.within(180_000) }),
    };
  }
}

/** The interrupts that are open after some more events. */
function carried(open: readonly Interrupt[], log: readonly { event: AgentEvent }[]): readonly Interrupt[] {
  for (const { event } of log) {
    if (event.type === "RUN_STARTED") open = [];
    else if (event.type === "RUN_FINISHED") open = event.outcome?.interrupts ?? [];
  }
  return open;
}

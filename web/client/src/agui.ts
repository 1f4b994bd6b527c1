import { AbstractAgent, EventType, isInterruptExpired } from "@ag-ui/client";
import type { AgentCapabilities, AgentConfig, BaseEvent, RunAgentInput } from "@ag-ui/client";
import { Observable } from "rxjs";
import type { Subscriber } from "rxjs";
import { toRestored, toStock, withStockIds } from "./agui-ids.ts";
import { newMessages, refuseUncarried } from "./agui-input.ts";
import type { CarrelClient } from "./client.ts";
import { RefusedError } from "./contract.ts";
import type { RunOptions } from "./contract.ts";
import type { AgentEvent, Interrupt, Resume } from "./events.ts";
import { timedId } from "./ids.ts";
import type { ThreadState } from "./state.ts";
import { earlierTries } from "./tries.ts";

export interface CarrelAgentConfig extends AgentConfig {
  /** A connected client. The agent opens its thread on it, so each agent needs a client of its own. */
  readonly client: CarrelClient;
  /** The server's agent, and the policy for a message to a busy thread. */
  readonly run?: RunOptions;
}

interface Followed {
  readonly threadId: string;
  readonly runId: string;
  /** The server has reported that the run has ended. */
  over?: boolean;
  /** Ends the stream if no further event can arrive. */
  check?: () => void;
}

/**
 * An AG-UI agent that runs in Carrel. `runAgent` requests a run and emits its events. `connectAgent` restates the thread and
 * follows its active run, if there is one. A run continues without subscribers; `abortRun` stops it.
 */
export class CarrelAgent extends AbstractAgent {
  readonly client: CarrelClient;
  private readonly options: RunOptions | undefined;
  private following: string | undefined;
  /** The ids of the user's messages that the page has received, in one thread. */
  private shown: { threadId: string; ids: Set<string> } = { threadId: "", ids: new Set() };

  constructor({ client, run, ...config }: CarrelAgentConfig) {
    super(config);
    this.client = client;
    this.options = run;
  }

  /** Carrel's capabilities, for front ends that check them before they show a button. */
  override async getCapabilities(): Promise<AgentCapabilities> {
    return {
      transport: { streaming: true, websocket: true, resumable: true },
      tools: { supported: true, parallelCalls: true, clientProvided: false },
      state: { snapshots: false, deltas: false, persistentState: false },
      reasoning: { supported: true, streaming: true },
      multimodal: { input: { image: false, audio: false, video: false, pdf: false, file: false } },
      humanInTheLoop: { supported: true, approvals: true, interrupts: true, approveWithEdits: true },
    };
  }

  override run(input: RunAgentInput): Observable<BaseEvent> {
    return new Observable((out) => {
      const { threadId } = input;
      refuseUncarried(input);
      this.client.open(threadId);
      const runId = this.runId(input);
      const messages = newMessages(input, runId, this.client.state.thread?.messages ?? [], this.shownIn(threadId));
      const resume = this.answers(input, messages.length > 0);
      if (messages.length === 0 && resume.length === 0) throw new Error("There is no new message of the user to send, and no answer.");
      const run: Followed = { threadId, runId };
      const stop = this.follow(run, out);
      this.client.run(runId, messages, resume.length > 0 ? { threadId, resume } : undefined, this.options);
      for (const message of messages) this.shownIn(threadId).add(toStock(message).id);
      this.client.settled(runId).then((state) => {
        run.over = state === "ended";
        run.check?.();
      }, (error: unknown) => {
        out.next(runError(error instanceof Error ? error.message : String(error), error instanceof RefusedError ? error.code : "internal"));
        out.complete();
      });
      return stop;
    });
  }

  protected override connect(input: RunAgentInput): Observable<BaseEvent> {
    return new Observable((out) => {
      this.client.open(input.threadId);
      let stop: (() => void) | undefined;
      const begin = (): void => {
        const { thread } = this.client.state;
        if (stop) return;
        if (thread?.threadId !== input.threadId) {
          unwatch();
          out.next({ type: EventType.RUN_STARTED, threadId: input.threadId, runId: input.runId } as BaseEvent);
          out.next(runError(ELSEWHERE, "elsewhere"));
          return out.complete();
        }
        if (!thread.loaded || thread.lagging) return;
        unwatch();
        for (const message of thread.messages) if (message.role === "user") this.shownIn(thread.threadId).add(toStock(message).id);
        const running = this.client.running();
        if (!running) {
          out.next({ type: EventType.RUN_STARTED, threadId: input.threadId, runId: input.runId } as BaseEvent);
          out.next(snapshot(thread));
          const outcome = thread.interrupts.length > 0 ? { type: "interrupt", interrupts: thread.interrupts } : { type: "success" };
          out.next({ type: EventType.RUN_FINISHED, threadId: input.threadId, runId: input.runId, outcome } as BaseEvent);
          return out.complete();
        }
        const [first, ...rest] = running.events;
        // With its input, RUN_STARTED would put the user's message before the messages of the snapshot.
        const { input: runInput, ...bare } = first!;
        out.next(toEvent(bare));
        out.next(snapshot(thread, [...running.before, ...runInput?.messages ?? []]));
        for (const event of rest) out.next(toEvent(event));
        stop = this.follow({ threadId: input.threadId, runId: running.runId }, out);
      };
      const unwatch = this.client.subscribe(begin);
      begin();
      return () => {
        unwatch();
        stop?.();
      };
    });
  }

  override abortRun(): void {
    // The client's notices show the refusal.
    if (this.following) this.client.cancel(this.following).catch(() => {});
  }

  override clone(): CarrelAgent {
    const copy = super.clone() as { client: CarrelClient } & CarrelAgent;
    copy.client = this.client;
    return copy;
  }

  /**
   * The id of the run. A stock client may respond under the id of the interrupted run, which has ended. A run id names one
   * run, so the responding run gets a new id.
   */
  private runId({ runId }: RunAgentInput): string {
    const interrupts = this.client.state.thread?.interrupts ?? [];
    return this.client.hasEnded(runId) || interrupts.some((one) => askedBy(one) === runId) ? timedId() : runId;
  }

  /** The ids of the user's messages of a thread that the page has received. */
  private shownIn(threadId: string): Set<string> {
    if (this.shown.threadId !== threadId) this.shown = { threadId, ids: new Set() };
    return this.shown.ids;
  }

  /**
   * The responses of the input. Responses to expired interrupts are left out: AG-UI requires them, but Carrel counts these
   * interrupts as refused. A new message without responses refuses the open interrupts, as on Carrel's page: the thread
   * would not accept it otherwise.
   */
  private answers({ threadId, resume = [] }: RunAgentInput, goesOn: boolean): readonly Resume[] {
    const { thread } = this.client.state;
    const open = thread?.threadId === threadId ? thread.interrupts : [];
    const expired = new Set(this.pendingInterrupts.filter((one) => isInterruptExpired(one)).map(({ id }) => id));
    for (const { id } of open) expired.delete(id); // the server's clock decides
    const given = resume.filter(({ interruptId }) => !expired.has(interruptId)) as readonly Resume[];
    if (given.length > 0 || !goesOn) return given;
    return open.map(({ id }) => ({ interruptId: id, status: "cancelled" }));
  }

  /** Emits the run's events until its last one. */
  private follow(run: Followed, out: Subscriber<BaseEvent>): () => void {
    this.following = run.runId;
    let started = false;
    const unlisten = this.client.onEvent(({ threadId, runId, event }) => {
      if (threadId !== run.threadId || runId !== run.runId) return;
      started = true;
      out.next(toEvent(event));
      if (event.type === "RUN_FINISHED" || event.type === "RUN_ERROR") out.complete();
    });
    run.check = (): void => {
      if (!out.closed && this.client.state.thread?.threadId !== run.threadId) return elsewhere(out, run, started);
      // Events of an ended run can still arrive only while the view lags.
      const over = this.client.hasEnded(run.runId) || (run.over && !this.client.state.thread?.lagging);
      if (!out.closed && over) unseen(out, run, this.client, started);
    };
    const unwatch = this.client.subscribe(run.check);
    return () => {
      unlisten();
      unwatch();
      if (this.following === run.runId) this.following = undefined;
    };
  }
}

const ELSEWHERE = "The client has opened another thread, so this run cannot be followed here any more. It goes on.";

/** The client has opened another thread: the run continues, but its events no longer arrive here. */
function elsewhere(out: Subscriber<BaseEvent>, run: Followed, started: boolean): void {
  if (!started) out.next({ type: EventType.RUN_STARTED, threadId: run.threadId, runId: run.runId } as BaseEvent);
  out.next(runError(ELSEWHERE, "elsewhere"));
  out.complete();
}

/** The run has ended but its last event was missed: emits RUN_ERROR instead of an invented RUN_FINISHED. */
function unseen(out: Subscriber<BaseEvent>, run: { threadId: string; runId: string }, client: CarrelClient, started: boolean): void {
  if (!started) out.next({ type: EventType.RUN_STARTED, threadId: run.threadId, runId: run.runId } as BaseEvent);
  out.next(snapshot(client.state.thread));
  out.next(runError("The run ended before its events could be followed. The messages are complete.", "unseen"));
  out.complete();
}

/** The run that has opened the interrupt. */
function askedBy({ metadata }: Interrupt): unknown {
  const carrel = metadata?.carrel;
  return typeof carrel === "object" && carrel !== null && "runId" in carrel ? carrel.runId : undefined;
}

/** The messages without earlier tries at an answer, which a stock client would show beside it. */
function snapshot(thread: ThreadState | undefined, messages = thread?.messages ?? []): BaseEvent {
  const tries = earlierTries(messages);
  return { type: EventType.MESSAGES_SNAPSHOT, messages: messages.filter(({ id }) => !tries.has(id)).map((one) => toRestored(one, thread?.runs)) } as BaseEvent;
}

function runError(message: string, code: string): BaseEvent {
  return { type: EventType.RUN_ERROR, message, code } as BaseEvent;
}

/** The server's events have AG-UI's types, which the compiler cannot know. */
function toEvent(event: AgentEvent): BaseEvent {
  return withStockIds(event) as unknown as BaseEvent;
}

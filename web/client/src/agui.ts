import { AbstractAgent, EventType, isInterruptExpired } from "@ag-ui/client";
import type { AgentCapabilities, AgentConfig, BaseEvent, RunAgentInput } from "@ag-ui/client";
import { Observable } from "rxjs";
import type { Subscriber } from "rxjs";
import { toStock, withStockIds } from "./stock-ids.ts";
import type { CarrelClient } from "./client.ts";
import { RefusedError } from "./contract.ts";
import type { RunOptions } from "./contract.ts";
import type { AgentEvent, Resume } from "./events.ts";
import { follow, LOST } from "./follow.ts";
import { askedBy } from "./interrupts.ts";
import { timedId } from "./ids.ts";
import { restate, snapshot } from "./restate.ts";
import type { MessagesSnapshot } from "./restate.ts";
import { newMessages, NOTHING_NEW, refuseFields } from "./stock-input.ts";
import type { StockMessage } from "./stock-input.ts";

export interface CarrelAgentConfig extends AgentConfig {
  /** A connected client. The agent opens its thread on it, so each agent needs a client of its own. */
  readonly client: CarrelClient;
  /** The server's agent, and the policy for a message to a busy thread. */
  readonly run?: RunOptions;
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
      const { threadId, tools, context, state, forwardedProps } = input;
      refuseFields({ tools, context, state, forwardedProps });
      this.client.open(threadId);
      const runId = this.runId(input);
      const messages = newMessages(input.messages as readonly StockMessage[], runId, this.client.state.thread?.messages ?? [], this.shownIn(threadId));
      const resume = this.answers(input, messages.length > 0);
      if (messages.length === 0 && resume.length === 0) throw new Error(NOTHING_NEW);
      const { stop, requested } = this.follow(threadId, runId, out);
      this.client.run(runId, messages, resume.length > 0 ? { threadId, resume } : undefined, this.options);
      for (const message of messages) this.shownIn(threadId).add(toStock(message).id);
      requested().catch((error: unknown) => {
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
          out.next(runError(LOST.elsewhere, "elsewhere"));
          return out.complete();
        }
        if (!thread.loaded || thread.lagging) return;
        unwatch();
        for (const message of thread.messages) if (message.role === "user") this.shownIn(thread.threadId).add(toStock(message).id);
        for (const event of restate(this.client, input.threadId, input.runId)) out.next(toEvent(event));
        const running = this.client.running();
        if (!running) return out.complete();
        ({ stop } = this.follow(input.threadId, running.runId, out));
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
  private follow(threadId: string, runId: string, out: Subscriber<BaseEvent>): { stop: () => void; requested: () => Promise<void> } {
    this.following = runId;
    const { stop, requested } = follow(this.client, { threadId, runId }, {
      event: (event) => {
        out.next(toEvent(event));
        if (event.type === "RUN_FINISHED" || event.type === "RUN_ERROR") out.complete();
      },
      // RUN_ERROR, because only the server may say RUN_FINISHED.
      lost: (why, started) => {
        if (!started) out.next({ type: EventType.RUN_STARTED, threadId, runId } as BaseEvent);
        if (why === "unseen") out.next(toEvent(snapshot(this.client)));
        out.next(runError(LOST[why], why));
        out.complete();
      },
    });
    return {
      requested,
      stop: () => {
        stop();
        if (this.following === runId) this.following = undefined;
      },
    };
  }
}

function runError(message: string, code: string): BaseEvent {
  return { type: EventType.RUN_ERROR, message, code } as BaseEvent;
}

/** The server's events have AG-UI's types, which the compiler cannot know. */
function toEvent(event: AgentEvent | MessagesSnapshot): BaseEvent {
  return ("input" in event ? withStockIds(event) : event) as unknown as BaseEvent;
}

import type { CarrelClient } from "./client.ts";
import type { AgentEvent } from "./events.ts";

/** What a front end does with the events of one run. */
export interface Follower {
  /** Called with each event of the run, once and in order. The last one is RUN_FINISHED or RUN_ERROR. */
  event(event: AgentEvent): void;
  /**
   * Called instead of the last event if that cannot arrive any more. elsewhere: the client has opened another thread, and the run
   * continues. unseen: the run has ended, and only its messages are known. started: RUN_STARTED has arrived.
   */
  lost(why: "elsewhere" | "unseen", started: boolean): void;
}

/** The sentences for a person who can no longer follow a run. */
export const LOST = {
  elsewhere: "The client has opened another thread, so this run cannot be followed here any more. It goes on.",
  unseen: "The run ended before its events could be followed. The messages are complete.",
} as const;

/** A run that is being followed. */
export interface Followed {
  /** Ends the calls. The run continues. */
  stop(): void;
  /** Waits for the answer to the run's request. Rejects as `settled` does. */
  requested(): Promise<void>;
}

/** Follows a run of the client's open thread until its last event. */
export function follow(client: CarrelClient, { threadId, runId }: { readonly threadId: string; readonly runId: string }, to: Follower): Followed {
  let started = false;
  let over = false;
  let done = false;
  const unlisten = client.onEvent((one) => {
    if (done || one.threadId !== threadId || one.runId !== runId) return;
    started = true;
    if (isLast(one.event)) stop();
    to.event(one.event);
  });
  const unwatch = client.subscribe(check);

  function stop(): void {
    done = true;
    unlisten();
    unwatch();
  }
  function check(): void {
    if (done) return;
    const { thread } = client.state;
    const elsewhere = thread?.threadId !== threadId;
    // Events of an ended run can still arrive only while the view lags.
    if (!elsewhere && !client.hasEnded(runId) && !(over && !thread.lagging)) return;
    stop();
    to.lost(elsewhere ? "elsewhere" : "unseen", started);
  }
  return {
    stop,
    requested: async () => {
      over = await client.settled(runId) === "ended";
      check();
    },
  };
}

/** Whether the event is the last one of its run. */
export function isLast({ type }: AgentEvent): boolean {
  return type === "RUN_FINISHED" || type === "RUN_ERROR";
}

/** Resolves once the client shows all events of the thread that the server has. Rejects if the client opens another thread. */
export async function loaded(client: CarrelClient, threadId: string): Promise<void> {
  client.open(threadId);
  let stop = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        const { thread } = client.state;
        if (thread?.threadId !== threadId) reject(new Error(LOST.elsewhere));
        else if (thread.loaded && !thread.lagging) resolve();
      };
      stop = client.subscribe(check);
      check();
    });
  } finally {
    stop();
  }
}

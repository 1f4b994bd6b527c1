import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import type { CarrelClient } from "./client.ts";
import type { ClientState } from "./contract.ts";
import type { ThreadInfo } from "./server-frames.ts";
import type { ThreadState } from "./state.ts";

/** The client's state, read at most once per frame of the screen, because a replay arrives in hundreds of pieces at once. */
export function useCarrel(client: CarrelClient): ClientState {
  const subscribe = useCallback((changed: () => void): (() => void) => {
    let frame: number | undefined;
    const show = (): void => {
      frame = undefined;
      changed();
    };
    const unsubscribe = client.subscribe(() => {
      // The browser draws no frames for a hidden page.
      if (document.hidden) changed();
      else frame ??= requestAnimationFrame(show);
    });
    return () => {
      unsubscribe();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [client]);
  const read = (): ClientState => client.state;
  return useSyncExternalStore(subscribe, read, read);
}

/**
 * Opens the thread on the client and returns its state; undefined until the client shows it. A client has one open thread, so a
 * page uses this hook for one thread at a time.
 */
export function useThread(client: CarrelClient, threadId: string): ThreadState | undefined {
  const { thread } = useCarrel(client);
  useEffect(() => client.open(threadId), [client, threadId]);
  return thread?.threadId === threadId ? thread : undefined;
}

/** The user's threads, the one used last first. */
export interface Threads {
  readonly threads: readonly ThreadInfo[];
  /** Gets the next page; undefined if there is none. It never rejects: a failure is in `error`. */
  readonly older: (() => Promise<void>) | undefined;
  /** Why the last page could not be fetched. */
  readonly error: string | undefined;
}

/** Gets the user's threads with each new connection, and keeps them up to date. */
export function useThreads(client: CarrelClient): Threads {
  const { threads, moreThreads, status } = useCarrel(client);
  const [error, setError] = useState<string>();
  const get = useCallback(async (page: () => Promise<unknown>): Promise<void> => {
    try {
      await page();
      setError(undefined);
    } catch (refusal) {
      setError(refusal instanceof Error ? refusal.message : String(refusal));
    }
  }, []);
  useEffect(() => {
    // Only the list shows changes that happened while the client was offline.
    if (status === "ready") void get(() => client.threads());
  }, [client, get, status]);
  const older = useCallback(() => get(() => client.olderThreads()), [client, get]);
  return { threads, older: moreThreads ? older : undefined, error };
}

import type { Where } from "./outbox.ts";
import { ThreadList } from "./threadlist.ts";
import { ThreadView } from "./thread.ts";
import type { OnEvent } from "./state.ts";

/** A refusal to show to the user. */
export interface Notice {
  readonly code: string;
  readonly message: string;
  readonly runId?: string;
  /** The field of the refused frame that is wrong. */
  readonly field?: string;
  /** rate_limited and budget_reached: how long to wait, in ms. */
  readonly retryAfterMs?: number;
  /** When a retry may succeed, by the client's `elapsed` clock (`performance.now` by default). */
  readonly retryAt?: number;
}

/** The data of a client: the views of its threads, the open one, the list of threads, and the notices. */
export class ThreadViews {
  list = new ThreadList();
  /** The open thread; undefined until the client knows one. */
  open: string | undefined;
  notices: readonly Notice[] = [];
  readonly #all = new Map<string, ThreadView>();
  readonly #onEvent: (threadId: string, ...args: Parameters<OnEvent>) => void;

  constructor(onEvent: (threadId: string, ...args: Parameters<OnEvent>) => void) {
    this.#onEvent = onEvent;
  }

  of(threadId: string): ThreadView {
    let view = this.#all.get(threadId);
    if (!view) {
      view = new ThreadView(threadId, (...event) => this.#onEvent(threadId, ...event));
      this.#all.set(threadId, view);
    }
    return view;
  }

  /** The view of the open thread. */
  get current(): ThreadView | undefined {
    return this.open === undefined ? undefined : this.of(this.open);
  }

  where(): Where {
    const view = this.current;
    return view ? { threadId: view.id, ...(view.cursor && { cursor: view.cursor }) } : {};
  }

  /** A new connection is in use. n: 1 if its hello was sent already, else 0. */
  connected(n: number): void {
    for (const view of this.#all.values()) view.connected(n);
  }

  /** Removes all threads, rows and notices: the user's data is erased. */
  clear(): void {
    this.#all.clear();
    this.list = new ThreadList();
    this.notices = [];
  }

  note(notice: Notice): void {
    this.notices = [...this.notices, notice].slice(-20);
  }
}

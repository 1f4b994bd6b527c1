import type { ThreadInfo, ThreadList as Page } from "./frames.ts";

/** The user's threads as far as they are known, newest first. */
export class ThreadList {
  #rows: readonly ThreadInfo[] = [];
  /** Older threads exist that were not asked for yet. */
  more = false;

  get rows(): readonly ThreadInfo[] {
    return this.#rows;
  }

  /** Merges rows; one that is older than what is shown is dropped. */
  put(rows: readonly ThreadInfo[]): void {
    const all = new Map(this.#rows.map((row) => [row.threadId, row]));
    for (const { threadId, title, status, created, updated, head } of rows) {
      const shown = all.get(threadId);
      if (shown && shown.updated > updated) continue;
      const state = status ?? shown?.status;
      all.set(threadId, { threadId, title, created, updated, head, ...(state && { status: state }) });
    }
    this.#rows = [...all.values()].sort((a, b) => b.created - a.created || (a.threadId < b.threadId ? 1 : -1));
  }

  page(page: Page): void {
    this.put(page.threads);
    this.more = page.more;
  }
}

import type { ThreadInfo, ThreadList as Page } from "./frames.ts";

/** The user's threads as far as they are known, newest first. */
export class ThreadList {
  #rows: readonly ThreadInfo[] = [];
  /** Deleted threads: nothing brings them back. */
  readonly #deleted = new Set<string>();
  /** The rows that were there when a page was asked for: those that it does not name have gone. */
  readonly #asked = new Map<string, readonly ThreadInfo[]>();
  /** Older threads exist that were not asked for yet. */
  more = false;

  get rows(): readonly ThreadInfo[] {
    return this.#rows;
  }

  isDeleted(threadId: string): boolean {
    return this.#deleted.has(threadId);
  }

  /** Takes a thread away for good; false if that was known. */
  delete(threadId: string): boolean {
    const known = this.#deleted.has(threadId);
    this.#deleted.add(threadId);
    this.drop(threadId);
    return !known;
  }

  /** Takes a row away, which a newer one may bring back. */
  drop(threadId: string): void {
    this.#rows = this.#rows.filter((row) => row.threadId !== threadId);
  }

  /** Merges rows; one that is older than what is shown is dropped. */
  put(rows: readonly ThreadInfo[]): void {
    const all = new Map(this.#rows.map((row) => [row.threadId, row]));
    for (const { threadId, title, status, created, updated, head, interrupted } of rows) {
      const shown = all.get(threadId);
      if (this.#deleted.has(threadId) || (shown && shown.updated > updated)) continue;
      const state = status ?? shown?.status;
      all.set(threadId, { threadId, title, created, updated, head, ...(state && { status: state }), ...(interrupted && { interrupted }) });
    }
    this.#rows = [...all.values()].sort((a, b) => b.created - a.created || (a.threadId < b.threadId ? 1 : -1));
  }

  /** A page is asked for: "threads", or "threads." and the id before which it begins. */
  asked(requestId: string): void {
    this.#asked.set(requestId, this.#rows);
  }

  page(page: Page): void {
    const id = page.requestId ?? "threads";
    this.#forget(page, id.slice("threads.".length), this.#asked.get(id) ?? []);
    this.#asked.delete(id);
    this.put(page.threads);
    // The first page is asked for again after each loss of the connection, when older ones may be here already.
    const oldest = page.threads.at(-1)?.threadId;
    if (id !== "threads" || !this.#rows.some((row) => oldest !== undefined && row.threadId < oldest)) this.more = page.more;
  }

  /** Takes away what was known before the page was asked for, belongs into it and is not there: it was deleted. */
  #forget({ threads, more }: Page, before: string, known: readonly ThreadInfo[]): void {
    const there = new Set(threads.map((row) => row.threadId));
    const last = more ? threads.at(-1)?.threadId ?? "" : "";
    const gone = new Set(known.filter(({ threadId }) => !there.has(threadId) && threadId > last && (!before || threadId < before)));
    this.#rows = this.#rows.filter((row) => !gone.has(row));
  }
}

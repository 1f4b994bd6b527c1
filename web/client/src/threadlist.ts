import type { ThreadInfo, ThreadList as Page } from "./server-frames.ts";

/** The request ids of the first page, and of the page after the known rows. */
export const FIRST_PAGE = "threads";
export const OLDER_PAGE = "threads.older";

/** The user's known threads, in the server's order. */
export class ThreadList {
  #rows: readonly ThreadInfo[] = [];
  /** Deleted threads: a later row does not restore them. */
  readonly #deleted = new Set<string>();
  /** The rows known when the first page was requested. The page removes the ones that it lacks. */
  #rowsAtRequest: readonly ThreadInfo[] = [];
  #older: string | undefined;
  #requestedOlder: string | undefined;

  get rows(): readonly ThreadInfo[] {
    return this.#rows;
  }

  /** The cursor of the page after the known rows; undefined if there is none. */
  get older(): string | undefined {
    return this.#older;
  }

  isDeleted(threadId: string): boolean {
    return this.#deleted.has(threadId);
  }

  /** Removes a thread for good. Returns false if it was deleted already. */
  delete(threadId: string): boolean {
    const known = this.#deleted.has(threadId);
    this.#deleted.add(threadId);
    this.drop(threadId);
    return !known;
  }

  /** Removes a row. A newer row of the same thread may restore it. */
  drop(threadId: string): void {
    this.#rows = this.#rows.filter((row) => row.threadId !== threadId);
  }

  /** Merges rows. A row older than the shown one is dropped. */
  put(rows: readonly ThreadInfo[]): void {
    const all = new Map(this.#rows.map((row) => [row.threadId, row]));
    for (const { threadId, title, status, created, updated, used, pinned, archived, head, interrupted } of rows) {
      const shown = all.get(threadId);
      if (this.#deleted.has(threadId) || (shown && shown.updated > updated)) continue;
      const state = status ?? shown?.status;
      all.set(threadId, {
        threadId, title, created, updated, head, ...(state && { status: state }), ...(interrupted && { interrupted }),
        ...(used !== undefined && { used }), ...(pinned && { pinned }), ...(archived && { archived }),
      });
    }
    this.#rows = [...all.values()].sort(byUse);
  }

  /** Notes that a page is requested. */
  requested(requestId: string): void {
    if (requestId === OLDER_PAGE) this.#requestedOlder = this.#older;
    else this.#rowsAtRequest = this.#rows;
  }

  page(page: Page): void {
    if (page.requestId === OLDER_PAGE) return this.#olderPage(page);
    const known = this.#rowsAtRequest;
    this.#rowsAtRequest = [];
    this.#forget(page, known);
    this.put(page.threads);
    if (!joins(page, known)) this.#older = page.more ? page.before : undefined;
  }

  /** A later page only adds rows. If a first page has arrived since and left a gap, the rows of the gap are fetched first. */
  #olderPage(page: Page): void {
    this.put(page.threads);
    if (this.#requestedOlder === this.#older) this.#older = page.more ? page.before : undefined;
  }

  /** Removes rows that were known before the first page was requested, belong into it and are missing: they were deleted. */
  #forget({ threads, more }: Page, known: readonly ThreadInfo[]): void {
    const there = new Set(threads.map((row) => row.threadId));
    const last = more ? threads.at(-1) : undefined;
    const gone = new Set(known.filter((row) => !there.has(row.threadId) && (!last || byUse(row, last) < 0)));
    this.#rows = this.#rows.filter((row) => !gone.has(row));
  }
}

/** The order of lists: pinned threads first and archived ones last, and each group by last use, newest first. */
function byUse(a: ThreadInfo, b: ThreadInfo): number {
  return rank(b) - rank(a) || (b.used ?? 0) - (a.used ?? 0) || (a.threadId < b.threadId ? 1 : -1);
}

function rank({ pinned, archived }: ThreadInfo): number {
  if (pinned) return 2;
  return archived ? 0 : 1;
}

/** Whether the page reaches known rows, so that no row is missing between it and the rows after it. */
function joins({ threads, more }: Page, known: readonly ThreadInfo[]): boolean {
  const last = threads.at(-1);
  return more && last !== undefined && known.some((row) => row.threadId === last.threadId && row.used === last.used && rank(row) === rank(last));
}

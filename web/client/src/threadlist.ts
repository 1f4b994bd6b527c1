import type { ThreadInfo, ThreadList as Page } from "./server-frames.ts";

/** The requests of the first page, and of the page behind the rows. */
export const FIRST_PAGE = "threads";
export const OLDER_PAGE = "threads.older";

/** The user's known threads, in the server's order. */
export class ThreadList {
  #rows: readonly ThreadInfo[] = [];
  /** Deleted threads: nothing brings them back. */
  readonly #deleted = new Set<string>();
  /** The rows known when the first page was requested. The page removes the ones that it lacks. */
  #asked: readonly ThreadInfo[] = [];
  #older: string | undefined;
  #askedOlder: string | undefined;

  get rows(): readonly ThreadInfo[] {
    return this.#rows;
  }

  /** Where the page behind the rows begins; undefined if there is none. */
  get older(): string | undefined {
    return this.#older;
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

  /** A page is asked for. */
  asked(requestId: string): void {
    if (requestId === OLDER_PAGE) this.#askedOlder = this.#older;
    else this.#asked = this.#rows;
  }

  page(page: Page): void {
    if (page.requestId === OLDER_PAGE) return this.#olderPage(page);
    const known = this.#asked;
    this.#asked = [];
    this.#forget(page, known);
    this.put(page.threads);
    if (!joins(page, known)) this.#older = page.more ? page.before : undefined;
  }

  /** A later page only adds rows. If a first page has arrived since and left a gap, the rows of the gap are fetched first. */
  #olderPage(page: Page): void {
    this.put(page.threads);
    if (this.#askedOlder === this.#older) this.#older = page.more ? page.before : undefined;
  }

  /** Removes rows that were known before the first page was requested, belong into it and are missing: they were deleted. */
  #forget({ threads, more }: Page, known: readonly ThreadInfo[]): void {
    const there = new Set(threads.map((row) => row.threadId));
    const last = more ? threads.at(-1) : undefined;
    const gone = new Set(known.filter((row) => !there.has(row.threadId) && (!last || byUse(row, last) < 0)));
    this.#rows = this.#rows.filter((row) => !gone.has(row));
  }
}

/** The order of lists: pinned threads first and archived ones last, and of each the one used last first. */
function byUse(a: ThreadInfo, b: ThreadInfo): number {
  return rank(b) - rank(a) || (b.used ?? 0) - (a.used ?? 0) || (a.threadId < b.threadId ? 1 : -1);
}

function rank({ pinned, archived }: ThreadInfo): number {
  if (pinned) return 2;
  return archived ? 0 : 1;
}

/** Whether the page reaches rows that are known already, so that none lies between it and those behind it. */
function joins({ threads, more }: Page, known: readonly ThreadInfo[]): boolean {
  const last = threads.at(-1);
  return more && last !== undefined && known.some((row) => row.threadId === last.threadId && row.used === last.used && rank(row) === rank(last));
}

import { describe, expect, it } from "vitest";
import type { ThreadInfo } from "../src/server-frames.ts";
import { FIRST_PAGE, OLDER_PAGE, ThreadList } from "../src/threadlist.ts";

const row = (threadId: string, used: number, more: Partial<ThreadInfo> = {}): ThreadInfo =>
  ({ threadId, title: threadId, created: 1, updated: used, used, head: 0, ...more });
const ids = (list: ThreadList): string => list.rows.map(({ threadId }) => threadId).join(" ");

/** Requests a page and passes the reply to the list. */
function page(list: ThreadList, requestId: string, threads: readonly ThreadInfo[], before?: string): void {
  list.requested(requestId);
  list.page({ type: "threads", requestId, threads, more: before !== undefined, ...(before !== undefined && { before }) });
}

describe("the list of threads", () => {
  it("is in the order of last use, pinned ones first and archived ones last", () => {
    const list = new ThreadList();
    list.put([row("z", 1), row("a", 3), row("b", 3), row("p", 0, { pinned: true }), row("q", 9, { archived: true })]);
    expect(ids(list)).toBe("p b a z q");
    list.put([row("z", 4)]);
    expect(ids(list)).toBe("p z b a q");
  });

  it("removes rows that the first page lacks, and keeps rows that arrived after the request", () => {
    const list = new ThreadList();
    list.put([row("t1", 1), row("t2", 2), row("t3", 3), row("t4", 4)]);
    list.requested(FIRST_PAGE);
    list.put([row("t5", 5)]);
    list.page({ type: "threads", requestId: FIRST_PAGE, threads: [row("t4", 4), row("t2", 2)], more: true, before: "c2" });
    expect(ids(list)).toBe("t5 t4 t2 t1"); // t1 belongs to a later page
    page(list, FIRST_PAGE, [row("t4", 4), row("t2", 2)]);
    expect(ids(list)).toBe("t4 t2");
  });

  it("grows by later pages, which remove no rows", () => {
    const list = new ThreadList();
    page(list, FIRST_PAGE, [row("t4", 4), row("t3", 3)], "c3");
    expect(list.older).toBe("c3");
    list.requested(OLDER_PAGE);
    list.put([row("t2", 5)]); // used between the two pages: it moved up, and neither page contains it
    list.page({ type: "threads", requestId: OLDER_PAGE, threads: [row("t1", 1)], more: false });
    expect(ids(list)).toBe("t2 t4 t3 t1");
    expect(list.older).toBeUndefined();
    page(list, FIRST_PAGE, [row("t2", 5), row("t4", 4)], "c4");
    expect(ids(list)).toBe("t2 t4 t3 t1");
    expect(list.older).toBeUndefined(); // the list is complete
  });

  it("continues from the first page if rows may be missing between it and the known ones", () => {
    const list = new ThreadList();
    page(list, FIRST_PAGE, [row("t2", 2), row("t1", 1)], "c1");
    page(list, OLDER_PAGE, [row("t0", 0)]);
    list.requested(OLDER_PAGE);
    page(list, FIRST_PAGE, [row("t9", 9), row("t8", 8)], "c8");
    expect(list.older).toBe("c8");
    list.page({ type: "threads", requestId: OLDER_PAGE, threads: [row("t0", 0)], more: false }); // the reply to the earlier request
    expect(list.older).toBe("c8");
    page(list, OLDER_PAGE, [row("t7", 7), row("t2", 2)], "c2");
    expect([ids(list), list.older]).toEqual(["t9 t8 t7 t2 t1 t0", "c2"]);
  });

  it("never shows a deleted thread again", () => {
    const list = new ThreadList();
    list.put([row("t1", 1), row("t2", 2)]);
    expect([list.delete("t1"), list.delete("t1")]).toEqual([true, false]);
    list.put([row("t1", 9)]);
    expect(ids(list)).toBe("t2");
    expect(list.isDeleted("t1")).toBe(true);
  });
});

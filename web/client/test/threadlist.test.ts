import { expect, it } from "vitest";
import { ThreadList } from "../src/threadlist.ts";

const row = (threadId: string, updated = 1) => ({ threadId, title: threadId, created: Number(threadId.slice(1)), updated, head: 0 });
const ids = (list: ThreadList): string => list.rows.map(({ threadId }) => threadId).join(" ");

it("forgets what a page no longer names, and keeps what came while it was asked for", () => {
  const list = new ThreadList();
  list.put([row("t1"), row("t2"), row("t3"), row("t4")]);
  list.asked("threads");
  list.put([row("t5")]);
  list.page({ type: "threads", requestId: "threads", threads: [row("t4"), row("t2")], more: true });
  expect(ids(list)).toBe("t5 t4 t2 t1"); // t1 belongs to a later page
  list.asked("threads.t2");
  list.page({ type: "threads", requestId: "threads.t2", threads: [], more: false });
  expect(ids(list)).toBe("t5 t4 t2");
});

it("never shows a deleted thread again", () => {
  const list = new ThreadList();
  list.put([row("t1"), row("t2")]);
  expect([list.delete("t1"), list.delete("t1")]).toEqual([true, false]);
  list.put([row("t1", 9)]);
  expect(ids(list)).toBe("t2");
  expect(list.isDeleted("t1")).toBe(true);
});

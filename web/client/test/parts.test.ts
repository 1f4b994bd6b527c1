import { expect, it } from "vitest";
import type { Part, ServerFrame } from "../src/server-frames.ts";
import { Parts } from "../src/parts.ts";
import { dice } from "./model.ts";

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

it("joins the parts of a frame in any order, cut at any byte", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = dice(seed);
  const parts = new Parts();
  for (let round = 0; round < 200; round++) {
    const title = Array.from({ length: 1 + Math.floor(random() * 300) }, () => String.fromCodePoint(0x20 + Math.floor(random() * 0x1_0000) % 0xd000)).join("") + "😀\uFEFF";
    const frame = { type: "thread", threadId: "t", title, created: 1, updated: 2, head: 3 };
    const bytes = new TextEncoder().encode(JSON.stringify(frame));
    const of = 1 + Math.floor(random() * 9);
    const cuts = [0, ...Array.from({ length: of - 1 }, (_, i) => i + 1 + Math.floor(random() * (bytes.length - of))), bytes.length].sort((a, b) => a - b);
    const all = cuts.slice(1).map((end, i): Part => ({ type: "part", id: `p${round}`, n: i + 1, of, data: base64(bytes.slice(cuts[i], end)) }))
      .filter((part) => part.data !== "");
    if (all.length < of) continue;
    all.sort(() => random() - 0.5);
    let whole: ServerFrame | "bad" | undefined;
    for (const part of all) {
      expect(whole).toBeUndefined();
      whole = parts.add(part, 0);
    }
    expect(whole, `SEED=${seed}`).toEqual(frame);
  }
  expect(parts.due()).toBeUndefined();
});

it("keeps at most eight incomplete frames and 32 MB", () => {
  const parts = new Parts();
  const data = base64(new Uint8Array(22 * 1024));
  for (let id = 0; id < 8; id++) expect(parts.add({ type: "part", id: `p${id}`, n: 1, of: 1024, data }, 0)).toBeUndefined();
  expect(parts.add({ type: "part", id: "p8", n: 1, of: 2, data }, 0)).toBe("bad");
  let kept = 0;
  for (let n = 2; n <= 300; n++) {
    for (let id = 0; id < 8; id++) {
      const taken = parts.add({ type: "part", id: `p${id}`, n, of: 1024, data }, 0);
      if (taken === "bad") return expect((n - 1) * 8 * 22 * 1024).toBeGreaterThan(30 * 1024 * 1024);
      kept += 22 * 1024;
      expect(kept).toBeLessThanOrEqual(32 * 1024 * 1024);
    }
  }
  throw new Error("more than 32 MB were kept");
});

it("refuses parts beyond the limits of a server", () => {
  const parts = new Parts();
  const data = base64(new Uint8Array(22 * 1024));
  expect(parts.add({ type: "part", id: "long", n: 1, of: 1, data: base64(new Uint8Array(22 * 1024 + 1)) }, 0)).toBe("bad");
  expect(parts.add({ type: "part", id: "many", n: 1, of: 1025, data }, 0)).toBe("bad");
});

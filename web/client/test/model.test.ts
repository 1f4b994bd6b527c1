import { expect, it } from "vitest";
import { dice, Model } from "./model.ts";

const first = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const count = Number(process.env.SEEDS ?? 300);

it(`converges on the truth, each event once and in order, on any network (SEED=${first})`, () => {
  for (let seed = first; seed < first + count; seed++) {
    const model = new Model(seed);
    const random = dice(seed + 1);
    for (let i = 0; i < 12; i++) {
      model.pass(random() * 3000);
      if (random() < 0.5) model.send(`r${i}`);
      if (random() < 0.5) model.answer(`a${i}`, random() < 0.3);
      if (random() < 0.3) model.breakSocket();
      if (random() < 0.1) model.rebirth();
    }
    model.hostile = false;
    model.pass(12 * 60_000);
    expect(model.session.thread?.interrupts, `SEED=${seed} SEEDS=1`).toEqual(model.open);
    model.answer("last", false);
    model.pass(12 * 60_000);
    const { view, thread, status } = model.session;
    const why = `SEED=${seed} SEEDS=1`;
    expect(model.busy, why).toBe(false);
    expect(status, why).toBe("ready");
    expect([thread?.interrupts, model.open], why).toEqual([[], []]);
    expect(thread?.messages, why).toEqual(model.truth);
    expect([thread?.active, thread?.queue, thread?.behind], why).toEqual([undefined, [], false]);
    expect(view?.cursor?.seq ?? 0, why).toBe(model.end);
    for (const [i, { epoch, seq }] of model.applied.entries()) {
      const before = model.applied[i - 1];
      if (before?.epoch === epoch) expect(seq, why).toBeGreaterThan(before.seq);
    }
  }
}, 60_000);

import { expect, it } from "vitest";
import { View } from "../src/index.ts";
import { dice } from "./model.ts";

/** API Gateway's own limit for an account: new connections in a second. */
const TAKEN = 500;

it("1,000 clients that lose their sockets at once come back spread out, and all of them", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = dice(seed);
  let now = 0;
  let attempts: number[] = [];
  const inSecond = new Map<number, number>();
  const wishes: (() => void)[] = [];
  const clients = Array.from({ length: 1000 }, () => {
    const session: View = new View({ send: () => {}, close: () => {}, connect: () => void wishes.push(() => attempt(session)) }, random);
    session.open("t", 0);
    session.connected(0);
    session.receive(JSON.stringify({ type: "ready", n: 1, connectionId: "c", threadId: "t", head: 0, recovered: false }), 0);
    return session;
  });
  const attempt = (session: View): void => {
    attempts.push(now);
    const taken = inSecond.get(Math.floor(now / 1000)) ?? 0;
    inSecond.set(Math.floor(now / 1000), taken + 1);
    if (taken >= TAKEN) session.refused(now);
    else session.connected(now);
  };
  for (const client of clients) client.lost(0);
  const left = (): View[] => clients.filter((client) => !client.online);
  while (left().length > 0 && now < 120_000) {
    now = Math.max(now, Math.min(...left().map((client) => client.due() ?? Infinity)));
    for (const client of left()) if ((client.due() ?? Infinity) <= now) client.tick(now);
    for (const wish of wishes.splice(0)) wish();
  }
  const why = `SEED=${seed}`;
  expect(left(), why).toHaveLength(0);
  expect(now, why).toBeLessThan(30_000);
  // The first second holds each client's first attempt; no tenth of it holds many more than a tenth of them.
  for (let tenth = 0; tenth < 1000; tenth += 100) {
    const here = attempts.filter((at) => at >= tenth && at < tenth + 100).length;
    expect(here, `${why}: ${here} attempts from ${tenth} ms on`).toBeLessThan(250);
  }
  const early = attempts.filter((at) => at < 500).length;
  expect(early, why).toBeGreaterThan(350);
  expect(attempts.length, why).toBeLessThan(3000);
});

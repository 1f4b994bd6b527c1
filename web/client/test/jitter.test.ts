import { expect, it } from "vitest";
import { View } from "../src/index.ts";
import { dice } from "./model.ts";

/** API Gateway's limit of new connections per second for an account. */
const MAX_PER_SECOND = 500;

it("1,000 clients that lose their sockets at once all reconnect, spread out over time", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = dice(seed);
  let now = 0;
  let attempts: number[] = [];
  const inSecond = new Map<number, number>();
  const requested: (() => void)[] = [];
  const clients = Array.from({ length: 1000 }, () => {
    const view: View = new View({ send: () => {}, close: () => {}, connect: () => void requested.push(() => attempt(view)) }, random);
    view.open("t", 0);
    view.connected(0);
    view.receive(JSON.stringify({ type: "ready", n: 1, connectionId: "c", threadId: "t", head: 0, recovered: false }), 0);
    return view;
  });
  const attempt = (view: View): void => {
    attempts.push(now);
    const accepted = inSecond.get(Math.floor(now / 1000)) ?? 0;
    inSecond.set(Math.floor(now / 1000), accepted + 1);
    if (accepted >= MAX_PER_SECOND) view.refused(now);
    else view.connected(now);
  };
  for (const client of clients) client.lost(0);
  const offline = (): View[] => clients.filter((client) => !client.online);
  while (offline().length > 0 && now < 120_000) {
    now = Math.max(now, Math.min(...offline().map((client) => client.due() ?? Infinity)));
    for (const client of offline()) if ((client.due() ?? Infinity) <= now) client.tick(now);
    for (const connect of requested.splice(0)) connect();
  }
  const why = `SEED=${seed}`;
  expect(offline(), why).toHaveLength(0);
  expect(now, why).toBeLessThan(30_000);
  // Each client's first attempt falls into the first second. No tenth of that second may have far more than a tenth of them.
  for (let tenth = 0; tenth < 1000; tenth += 100) {
    const inTenth = attempts.filter((at) => at >= tenth && at < tenth + 100).length;
    expect(inTenth, `${why}: ${inTenth} attempts from ${tenth} ms on`).toBeLessThan(250);
  }
  const early = attempts.filter((at) => at < 500).length;
  expect(early, why).toBeGreaterThan(350);
  expect(attempts.length, why).toBeLessThan(3000);
});

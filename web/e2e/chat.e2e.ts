import { expect, it } from "vitest";
import { verify } from "../tools/verify-events.mjs";
import { setup } from "./setup.ts";
import { numbers, said } from "./windows.ts";

const test = setup();
const { newUser, open } = test;

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

it("answers a question with a tool call, its arguments and its result", async () => {
  const alice = await open();
  await alice.send("what is 12*(3+4)?");
  await alice.questions.getByText("what is 12*(3+4)?").waitFor();
  const call = alice.page.getByRole("group", { name: "Tool call calculator" });
  await call.getByLabel("Arguments").getByText("12*(3+4)").waitFor();
  await call.getByLabel("Result").getByText("84").waitFor();
  await alice.quiet();
  expect(await alice.answers.last().textContent()).toContain("84");
  await alice.threads.filter({ hasText: "12*(3+4)" }).first().waitFor();
  // The received events pass AG-UI's own checks.
  expect(alice.streams).toHaveLength(1);
  expect((await verify(alice.streams)).events).toBeGreaterThan(8);
});

it("shows the agent below an answer, also after a reload", async () => {
  const alice = await open();
  await alice.send("/say who are you");
  await alice.quiet();
  const about = alice.answers.last().locator(".about");
  await about.getByText("assistant").waitFor();
  const live = [await about.textContent(), await about.getAttribute("title")];
  await alice.page.reload();
  await about.getByText("assistant").waitFor();
  expect([await about.textContent(), await about.getAttribute("title")]).toEqual(live);
});

it("shows text while it streams", async () => {
  const alice = await open();
  await alice.send("/stream 100 50");
  const early = numbers(await alice.answer("3 "));
  expect(early.length).toBeLessThan(100);
  expect(early).toEqual(upTo(early.length));
  await alice.quiet();
  await alice.says("3 ", upTo(100));
});

it("shows two users only their own threads", async () => {
  const bobsName = newUser();
  const [alice, bob] = [await open(), await open(bobsName)];
  await Promise.all([alice.send("/say the secret of alice"), bob.send("/say the secret of bob")]);
  await Promise.all([alice.questions.first().waitFor(), bob.questions.first().waitFor()]);
  await Promise.all([alice.quiet(), bob.quiet()]);
  await bob.threads.filter({ hasText: "bob" }).first().waitFor();
  for (const [window, other] of [[alice, "secret of bob"], [bob, "secret of alice"]] as const) {
    expect(await window.page.locator("body").textContent()).not.toContain(other);
  }
  // The address of a thread gives another user no access to it.
  const curious = await open(bobsName, alice.hash);
  await curious.page.getByText("Ask something.").waitFor();
  expect(await curious.page.locator("body").textContent()).not.toContain("secret of alice");
});

it("shows a running answer in the user's other window", async () => {
  const name = newUser();
  const first = await open(name);
  const second = await open(name, first.hash);
  await first.send("/stream 100 50");
  expect(numbers(await second.answer("3 ")).length).toBeLessThan(100);
  await second.questions.getByText("/stream 100 50").waitFor();
  await Promise.all([first.quiet(), second.quiet()]);
  for (const window of [first, second]) await window.says("3 ", upTo(100));
  await second.send("/say heard in both");
  await first.answers.getByText("heard in both").waitFor();
});

it("neither loses nor repeats text when it is reloaded during a run", async () => {
  const alice = await open();
  await alice.send("/stream 200 50");
  await alice.answer("20 ");
  await alice.page.reload();
  await alice.connected();
  await alice.answer("60 ");
  await alice.page.reload();
  await alice.answer("20 ");
  await alice.quiet();
  await alice.says("20 ", upTo(200));
  expect(await alice.questions.count()).toBe(1);
  await alice.page.reload();
  await alice.says("20 ", upTo(200));
});

it("stops a run, and queues a message that is sent during it", async () => {
  const alice = await open();
  await alice.send("/stream 1000 20");
  await alice.answer("3 ");
  await alice.send("/say after that");
  await alice.questions.filter({ hasText: "/say after that" }).getByText("Queued").waitFor();
  await alice.stop.click();
  await alice.answers.getByText("after that").waitFor();
  await alice.quiet();
  const counted = numbers(await said(alice.answers.first()));
  expect(counted.length).toBeLessThan(500);
  expect(counted).toEqual(upTo(counted.length));
  expect(await verify(alice.streams)).toMatchObject({ streams: 1 });
});

it("continues an answer after its socket is cut", async () => {
  const cuts: (() => Promise<void>)[] = [];
  await test.context.routeWebSocket(/./, (socket) => {
    socket.connectToServer();
    cuts.push(() => socket.close());
  });
  const alice = await open();
  await alice.send("/stream 150 50");
  await alice.answer("10 ");
  await cuts.at(-1)!();
  await expect.poll(() => cuts.length).toBe(2); // the page has connected again
  await alice.answer("40 ");
  await cuts.at(-1)!();
  await alice.answer("150 ");
  await alice.quiet();
  expect(cuts).toHaveLength(3);
  await alice.says("10 ", upTo(150));
});

it("stays responsive when ten thousand events arrive at once", async () => {
  let say = (_frame: object): void => {};
  await test.context.routeWebSocket(/./, (socket) => {
    socket.connectToServer();
    say = (frame) => socket.send(JSON.stringify(frame));
  });
  const alice = await open();
  const threadId = alice.hash.slice("#/t/".length);
  await alice.page.evaluate(() => {
    let last = performance.now();
    Object.assign(globalThis, { longest: 0 });
    setInterval(() => {
      const now = performance.now();
      Object.assign(globalThis, { longest: Math.max((globalThis as unknown as { longest: number }).longest, now - last) });
      last = now;
    }, 20);
  });
  const word = (i: number): object => ({ type: "TEXT_MESSAGE_CONTENT", messageId: "a", delta: `${i} the next words ` });
  say({ type: "events", threadId, epoch: "e", seq: 1, runId: "r", events: [{ type: "RUN_STARTED", threadId, runId: "r" }, { type: "TEXT_MESSAGE_START", messageId: "a", role: "assistant" }] });
  for (let seq = 3; seq <= 10_000; seq += 25) {
    say({ type: "events", threadId, epoch: "e", seq, runId: "r", events: Array.from({ length: 25 }, (_, i) => word(seq + i)) });
  }
  await alice.answers.getByText("10002 the next words").waitFor();
  expect(await alice.page.evaluate(() => (globalThis as unknown as { longest: number }).longest)).toBeLessThan(5000);
  await alice.says("3 the", upTo(10_002).slice(2));
});

it("shows the rest of the page when a thread cannot be shown", async () => {
  let say = (_frame: object): void => {};
  await test.context.routeWebSocket(/./, (socket) => {
    socket.connectToServer();
    say = (frame) => socket.send(JSON.stringify(frame));
  });
  const alice = await open();
  const threadId = alice.hash.slice("#/t/".length);
  const call = { type: "TOOL_CALL_START", toolCallId: "twice", toolCallName: "calculator", parentMessageId: "a" };
  for (const [runId, seq] of [["r1", 1], ["r2", 4]] as const) {
    say({ type: "events", threadId, epoch: "e", seq, runId, events: [{ type: "RUN_STARTED", threadId, runId }, call, { type: "RUN_FINISHED", threadId, runId }] });
  }
  await alice.page.getByText("This thread holds something that this page cannot show.").waitFor();
  await alice.newThread();
  await alice.send("/say all is well");
  await alice.answers.getByText("all is well").waitFor();
});

it("shows messages as text, and fits a narrow screen in light and dark", async () => {
  const alice = await open();
  await alice.page.setViewportSize({ width: 390, height: 800 });
  await alice.page.emulateMedia({ colorScheme: "dark" });
  await alice.send(`/say <img src=x onerror=alert(1)> ${"long".repeat(60)}`);
  await alice.answers.getByText("<img src=x onerror=alert(1)>").waitFor();
  expect(await alice.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await alice.page.getByRole("button", { name: "Threads" }).click();
  await alice.newThread();
  await alice.page.getByText("Ask something.").waitFor();
});

it("shows why a text is refused, and returns it to the composer", async () => {
  const alice = await open();
  for (const length of [25 * 1024, 40 * 1024]) { // above the server's limit; above the limit of a frame
    const text = "x".repeat(length);
    await alice.send(text);
    const alert = alice.page.getByRole("alert");
    await alert.waitFor();
    expect(await alice.page.getByRole("textbox", { name: "Message" }).inputValue()).toBe(text);
    await alert.getByRole("button", { name: "Dismiss" }).click();
    await alert.waitFor({ state: "detached" });
  }
  await alice.send("/say still here");
  await alice.answers.getByText("still here").waitFor();
});

it("signs out", async () => {
  const alice = await open();
  await alice.page.getByRole("button", { name: "Sign out" }).click();
  await alice.page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
});

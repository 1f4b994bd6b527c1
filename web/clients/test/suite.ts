import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { Browser, BrowserContext } from "playwright-core";
import { browser } from "../../e2e/windows.ts";
import { Example } from "./page.ts";

/** Registers the hooks of an example's tests: one browser, and for each test a user and a thread of its own. */
export function setup(name: string): { readonly context: () => BrowserContext; readonly open: () => Promise<Example> } {
  let chrome: Browser;
  let context: BrowserContext;
  let user = "";
  let thread = "";
  const opened: Example[] = [];
  beforeAll(async () => {
    // The examples' files come from this test, and Chromium would take their origin for a public one.
    chrome = await browser("--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets");
  });
  afterAll(async () => chrome?.close());
  beforeEach(async () => {
    user = `user-${crypto.randomUUID().slice(0, 8)}`;
    thread = `t-${crypto.randomUUID()}`;
    context = await chrome.newContext();
    context.setDefaultTimeout(20_000);
  });
  afterEach(async () => {
    const faults = opened.splice(0).flatMap((example) => example.faults);
    await context.close();
    expect(faults).toEqual([]);
  });
  return {
    context: () => context,
    open: async () => {
      const example = await Example.open(context, name, user, thread);
      opened.push(example);
      return example;
    },
  };
}

/** The numbers from 1 to n, as the scripted model counts. */
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

/** What an example does, whatever its front end is made of. The tests find everything by role and name. */
export function suite(name: string): void {
  const { context, open } = setup(name);

  /** What a reload shows must be what was shown live. */
  async function sameAfterReload(example: Example): Promise<void> {
    const live = await example.said();
    expect(live).not.toEqual([]);
    await example.page.reload();
    await expect.poll(() => example.said(), { timeout: 10_000 }).toEqual(live);
  }

  it("shows text", async () => {
    const page = await open();
    await page.send("/say hello there");
    await page.answer("hello there").waitFor();
    await page.quiet();
    expect(await page.questions.allTextContents()).toEqual(["/say hello there"]);
    await page.send("/say once more");
    await page.answer("once more").waitFor();
    await page.quiet();
    expect(await page.said()).toEqual(["/say hello there", "hello there", "/say once more", "once more"]);
    await sameAfterReload(page);
  });

  it("shows a tool call with its arguments and result", async () => {
    const page = await open();
    await page.send("calculate 12*(3+4)");
    await page.call("calculator").getByLabel("Arguments").getByText("12*(3+4)").waitFor();
    await page.call("calculator").getByLabel("Result").getByText("84").waitFor();
    await page.quiet();
    expect(await page.answers.last().textContent()).toContain("84");
    await sameAfterReload(page);
  });

  it("shows reasoning", async () => {
    const page = await open();
    await page.send("/think let me see\n/say done");
    await page.answer("done").waitFor();
    await page.quiet();
    expect(await page.page.getByLabel("Reasoning").allTextContents()).toEqual([expect.stringContaining("let me see")]);
    await sameAfterReload(page);
  });

  it("asks, is refused, asks again and is approved", async () => {
    const page = await open();
    await page.send("note: buy milk");
    await page.answer("Saved").waitFor();
    await page.quiet();
    await page.send("delete all notes");
    await page.approval.getByRole("button", { name: "Refuse" }).click();
    await page.approval.waitFor({ state: "detached" });
    await page.quiet();
    await page.send("what are my notes?");
    await page.answer("buy milk").waitFor();
    await page.quiet();
    await page.send("delete all notes");
    // The question is there after a reload, and on another device.
    await page.approval.waitFor();
    await page.page.reload();
    await page.approval.getByRole("button", { name: "Approve" }).click();
    await page.approval.waitFor({ state: "detached" });
    await page.quiet();
    await page.send("what are my notes?");
    await page.answer(/no notes/i).waitFor();
    await page.quiet();
    await sameAfterReload(page);
  });

  it("answers a question of a tool", async () => {
    const page = await open();
    await page.send('/call ask {"question":"Which color?","choices":["red","green"]}\n/say thanks');
    const form = page.page.getByRole("form", { name: "Question" });
    await form.getByRole("textbox").fill("green");
    await form.getByRole("button").click();
    await page.answer("thanks").waitFor();
    await page.quiet();
    await page.call("ask").getByLabel("Result").getByText("green").waitFor();
    expect(await page.call("ask").count()).toBe(1);
    await sameAfterReload(page);
  });

  it("stops a run", async () => {
    const page = await open();
    await page.send("/stream 1000 20");
    await page.answer(/3 /).waitFor();
    await page.stop.click();
    await page.quiet();
    await page.send("/say after that");
    await page.answer("after that").waitFor();
    await page.quiet();
    await page.page.reload();
    await page.answer("after that").waitFor();
    const counted = ((await page.answers.first().textContent()) ?? "").match(/\d+/g)!.map(Number);
    expect(counted.length).toBeLessThan(500);
    expect(counted).toEqual(upTo(counted.length));
  });

  it("neither loses nor repeats text over reloads during a run", async () => {
    const page = await open();
    await page.send("/stream 200 50");
    await page.answer("20 ").waitFor();
    await page.page.reload();
    await page.answer("60 ").waitFor();
    await page.page.reload();
    await page.answer("200").waitFor();
    await page.quiet();
    expect(await page.numbers()).toEqual(upTo(200));
    expect(await page.questions.count()).toBe(1);
    expect(await page.answers.count()).toBe(1);
    await sameAfterReload(page);
  });

  it("shows a run that another device has started", async () => {
    const first = await open();
    await first.send("/stream 150 50");
    await first.answer("3 ").waitFor();
    const second = await open();
    await second.answer("10 ").waitFor();
    await Promise.all([first.quiet(), second.quiet()]);
    for (const page of [first, second]) {
      expect(await page.numbers()).toEqual(upTo(150));
      expect(await page.questions.allTextContents()).toEqual(["/stream 150 50"]);
    }
  });

  it("continues an answer over three killed sockets", async () => {
    const sockets: (() => Promise<void>)[] = [];
    await context().routeWebSocket(/./, (socket) => {
      socket.connectToServer();
      sockets.push(() => socket.close());
    });
    const page = await open();
    await page.send("/stream 200 50");
    for (const seen of ["10 ", "60 ", "110 "]) {
      await page.answer(seen).waitFor();
      const before = sockets.length;
      await sockets.at(-1)!();
      await expect.poll(() => sockets.length, { timeout: 15_000 }).toBeGreaterThan(before);
    }
    await page.answer("200").waitFor();
    await page.quiet();
    expect(await page.numbers()).toEqual(upTo(200));
    expect(await page.answers.count()).toBe(1);
    await sameAfterReload(page);
  });
}

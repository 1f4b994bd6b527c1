import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { Browser, BrowserContext, BrowserContextOptions } from "playwright-core";
import { browser, Window } from "./windows.ts";

/** What the tests of one file share: one browser. Each test has a browser context and users of its own. */
export interface Setup {
  /** The context of the running test. */
  readonly context: BrowserContext;
  /** Makes another context, as another browser would be. It is closed after the test. */
  newContext(): Promise<BrowserContext>;
  /** Returns the name of a user whom no other test has. */
  newUser(): string;
  /** Opens a window in the test's context, or in another one, and signs in. The test fails if the page reports a fault. */
  open(user?: string, hash?: string, context?: BrowserContext): Promise<Window>;
  /** Checks the faults of a window that the test opened itself. */
  watch(window: Window): Window;
}

/** Registers the hooks of a file. prepare is called for each new context. */
export function setup(options: BrowserContextOptions = {}, prepare?: (context: BrowserContext) => Promise<unknown>): Setup {
  let chrome: Browser;
  let context: BrowserContext;
  const windows: Window[] = [];

  beforeAll(async () => {
    chrome = await browser();
  });
  afterAll(async () => chrome?.close());
  beforeEach(async () => {
    context = await newContext();
  });
  afterEach(async ({ task }) => {
    const opened = windows.splice(0);
    if (task.result?.state === "fail") for (const window of opened) console.error(`${task.name}: ${await window.shown()}`);
    const faults = opened.flatMap((window) => window.faults);
    await Promise.all(chrome.contexts().map((one) => one.close()));
    expect(faults).toEqual([]);
  });

  async function newContext(): Promise<BrowserContext> {
    const made = await chrome.newContext(options);
    await prepare?.(made);
    return made;
  }
  const newUser = (): string => `user-${crypto.randomUUID().slice(0, 8)}`;
  const watch = (window: Window): Window => {
    windows.push(window);
    return window;
  };
  return {
    get context() { return context; },
    newContext, newUser, watch,
    open: async (user = newUser(), hash = "", within = context) => watch(await Window.of(within, user, hash)),
  };
}

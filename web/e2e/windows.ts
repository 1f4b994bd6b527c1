import { existsSync, readFileSync } from "node:fs";
import axe from "axe-core";
import { expect } from "vitest";
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";

/** Reads the endpoints file of the running stack. */
export function stack(): Endpoints {
  const file = process.env.CARREL_ENDPOINTS ?? "../.carrel/endpoints.json";
  if (!existsSync(file)) throw new Error(`${file} does not exist: start the stack with make run, or name its file in CARREL_ENDPOINTS`);
  return JSON.parse(readFileSync(file, "utf8")) as Endpoints;
}

/** The addresses of a stack's listeners. */
export interface Endpoints {
  readonly page: string;
  readonly websocket: string;
  readonly connections: string;
  readonly issuer: string;
  readonly token: string;
  readonly dynamodb: string;
  readonly sts: string;
  readonly lambda: string;
  readonly ops: string;
}

/** Starts the browser named in CHROMIUM, or that is installed under a usual name. */
export async function browser(...more: string[]): Promise<Browser> {
  const usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const executablePath = process.env.CHROMIUM || usual.find((path) => existsSync(path));
  if (!executablePath) throw new Error("Chromium is missing: install it, or name it in CHROMIUM");
  return chromium.launch({
    executablePath,
    // As a person's browser does: it restores a page as it was left.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
      // The pages behind the address bar, which the browser loads for each window, take as long as the page itself.
      "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup", ...more,
    ],
  });
}

/** What an answer says, without the line below it that says when it was asked for and who gave it. */
export function said(answer: Locator): Promise<string> {
  return answer.evaluate((shown) => [...shown.children].filter((part) => !part.matches(".about")).map((part) => part.textContent).join(""));
}

/** The numbers in a text. */
export function numbers(text: string): number[] {
  return (text.match(/\d+/g) ?? []).map(Number);
}

/** A window of somebody, as a person sees it: by names and roles. */
export class Window {
  readonly #faults: string[] = [];

  /** The events that came, by thread and epoch and then by sequence number. */
  readonly #events = new Map<string, Map<number, unknown>>();

  private constructor(readonly page: Page) {
    page.on("pageerror", (error) => this.#faults.push(error.message));
    // Violations of the page's own policy, and the first action of a hostile text.
    page.on("console", (message) => {
      if (/content.security.policy|trusted ?type/i.test(message.text())) this.#faults.push(message.text());
    });
    page.on("dialog", (dialog) => {
      this.#faults.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => this.#record(String(payload))));
  }

  /** A window that is there already. */
  static on(page: Page): Window {
    return new Window(page);
  }

  /** Opens the page and signs in. */
  static async of(context: BrowserContext, user: string, hash = ""): Promise<Window> {
    const window = new Window(await context.newPage());
    await window.page.goto(new URL(`/${hash}`, stack().page).href);
    await window.page.getByRole("button", { name: "Sign in", exact: true }).click();
    await window.signIn(user);
    await window.connected();
    return window;
  }

  /** On the issuer's page: as one of those that it offers, or by name. */
  async signIn(user: string): Promise<void> {
    const field = this.page.getByRole("textbox", { name: "Or any other name" });
    await field.fill(user);
    await field.press("Enter");
  }

  async connected(): Promise<void> {
    await this.page.getByRole("status", { name: "Connection" }).getByText("Connected", { exact: true }).waitFor();
  }

  /** Opens a new thread, and returns when its composer has replaced that of the earlier thread. */
  async newThread(): Promise<void> {
    const earlier = await this.composer.elementHandles();
    await this.page.getByRole("button", { name: "New thread" }).click();
    for (const composer of earlier) await composer.waitForElementState("hidden");
    await this.composer.waitFor();
  }

  async send(text: string): Promise<void> {
    await this.page.getByRole("textbox", { name: "Message" }).fill(text);
    await this.page.keyboard.press("Enter");
  }

  get stop(): Locator {
    return this.page.getByRole("button", { name: "Stop" });
  }
  get questions(): Locator {
    return this.page.getByRole("article", { name: "You" });
  }
  get answers(): Locator {
    return this.page.getByRole("article", { name: "Agent" });
  }
  get threads(): Locator {
    return this.page.getByRole("navigation", { name: "Threads" }).getByRole("listitem");
  }
  get hash(): string {
    return new URL(this.page.url()).hash;
  }

  /** The text of the last answer once it begins as asked. */
  async answer(begins: string): Promise<string> {
    const last = this.answers.filter({ hasText: begins }).last();
    await last.waitFor();
    return await said(last);
  }

  /** Waits until these are the numbers in the last answer that begins so. The last words may come right after the button to stop has gone. */
  async says(begins: string, all: readonly number[]): Promise<void> {
    await expect.poll(async () => numbers(await this.answer(begins)), { timeout: 30_000 }).toEqual(all);
  }

  /** Waits until nothing runs in the open thread. */
  async quiet(): Promise<void> {
    await this.stop.waitFor({ state: "detached" });
  }

  get composer(): Locator {
    return this.page.getByRole("textbox", { name: "Message" });
  }

  /** What the window shows and keeps, for a person who reads why a test failed. */
  async shown(): Promise<string> {
    if (this.page.isClosed()) return "the window is closed";
    const drafts = await this.page.evaluate(() => Object.entries(sessionStorage).filter(([key]) => key.startsWith("carrel.")));
    return `${this.page.url()} shows\n${await this.page.locator("body").innerText()}\nand keeps ${JSON.stringify(drafts)}`;
  }

  /** What has the focus, by its name. */
  async focused(): Promise<string> {
    return await this.page.evaluate(() => {
      const { activeElement: at } = document;
      return at?.getAttribute("aria-label") ?? at?.textContent ?? "";
    });
  }

  /** What axe finds wrong with what is shown. */
  async unfit(): Promise<string[]> {
    if (!await this.page.evaluate(() => "axe" in globalThis)) await this.page.evaluate(axe.source);
    const found = await this.page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
      return (await axe.run()).violations.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => node.html) }));
    });
    return found.map(({ id, nodes }) => `${id}: ${nodes.join(" ")}`);
  }

  /** In light and dark: nothing wrong, nothing beyond the window. */
  async fit(): Promise<void> {
    for (const colorScheme of ["light", "dark"] as const) {
      await this.page.emulateMedia({ colorScheme });
      expect(await this.unfit()).toEqual([]);
    }
    expect(await this.overflow()).toBeLessThanOrEqual(0);
  }

  /** How wide the page is beyond its window, in pixels. */
  async overflow(): Promise<number> {
    return await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  }

  /** What the page's own code complained of. */
  get faults(): readonly string[] {
    return this.#faults;
  }

  /** The threads of which every event from the first on has come. */
  get streams(): readonly (readonly unknown[])[] {
    const whole = [...this.#events.values()].filter((events) => Math.max(...events.keys()) === events.size);
    return whole.map((events) => [...events].sort(([a], [b]) => a - b).map(([, event]) => event));
  }

  #record(payload: string): void {
    const { type, threadId, epoch, seq, events } = JSON.parse(payload) as Events;
    if (type !== "events") return;
    const key = `${threadId} ${epoch}`;
    const thread = this.#events.get(key) ?? new Map<number, unknown>();
    events.forEach((event, i) => thread.set(seq + i, event));
    this.#events.set(key, thread);
  }
}

interface Events {
  readonly type: string;
  readonly threadId: string;
  readonly epoch: string;
  readonly seq: number;
  readonly events: readonly unknown[];
}

import { readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Locator, Page } from "playwright-core";
import { stack } from "../../e2e/windows.ts";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** The page of an example, as a person sees it: by names and roles. */
export class Example {
  readonly faults: string[] = [];

  private constructor(readonly page: Page) {
    page.on("pageerror", (error) => this.faults.push(error.message));
  }

  /** Opens an example as a user, in a thread. The stack's own page has the origin; the example's files come from dist. */
  static async open(context: BrowserContext, name: string, user: string, thread: string): Promise<Example> {
    const example = new Example(await context.newPage());
    await example.page.route("**/clients/**", (route) => {
      const path = new URL(route.request().url()).pathname.replace(/^\/clients/, "");
      const file = join(dist, path.endsWith("/") ? `${path}index.html` : path);
      return route.fulfill({ body: readFileSync(file), contentType: TYPES[extname(file)] ?? "application/octet-stream" });
    });
    // Version 6 of the AI SDK is a second build of its example.
    const path = name === "ai-6" ? "ai-6/ai" : name;
    await example.page.goto(new URL(`/clients/${path}/?user=${user}&thread=${thread}`, stack().page).href);
    await example.page.getByRole("textbox").first().waitFor();
    return example;
  }

  get box(): Locator {
    return this.page.getByRole("textbox", { name: "Message" });
  }
  get questions(): Locator {
    return this.page.getByRole("article", { name: "You" });
  }
  get answers(): Locator {
    return this.page.getByRole("article", { name: "Agent" });
  }
  /** The newest paragraph of an answer with this text. */
  answer(text: string | RegExp): Locator {
    return this.answers.locator("p").filter({ hasText: text }).last();
  }
  get stop(): Locator {
    return this.page.getByRole("button", { name: "Stop" });
  }
  get approval(): Locator {
    return this.page.getByRole("group", { name: "Approval" });
  }
  call(name: string): Locator {
    return this.page.getByRole("group", { name: `Tool call ${name}` });
  }

  async send(text: string): Promise<void> {
    await this.box.fill(text);
    await this.page.getByRole("button", { name: "Send" }).click();
  }

  /** Waits until nothing runs any more. */
  async quiet(): Promise<void> {
    await this.stop.waitFor({ state: "detached" });
  }

  /** The numbers in the last answer's text. */
  async numbers(): Promise<number[]> {
    const texts = await this.answers.locator("p").allTextContents();
    return (texts.at(-1)?.match(/\d+/g) ?? []).map(Number);
  }

  /** The whole conversation as text. */
  async said(): Promise<string[]> {
    return await this.page.getByRole("article").locator("p, code, output").allTextContents();
  }
}

import { describe, expect, it } from "vitest";
import { setup, upTo } from "./suite.ts";
import { killWorkers } from "./workers.ts";

// After all other files: it kills the workers of all users.
describe.each(["ag-ui", "ai", "ai-6", "tanstack", "assistant-ui", "react"])("%s", (name) => {
  const { open } = setup(name);

  it("shows the whole answer if its worker is killed", async () => {
    const page = await open();
    await page.send("/stream 150 50");
    await page.answer("30 ").waitFor();
    expect(killWorkers()).toBeGreaterThan(0);
    await expect.poll(() => page.numbers(), { timeout: 60_000 }).toEqual(upTo(150));
    await page.quiet();
    // Once reloaded, the conversation has the question once, and only the complete answer.
    await page.page.reload();
    await expect.poll(() => page.said(), { timeout: 10_000 }).toHaveLength(2);
    expect(await page.numbers()).toEqual(upTo(150));
  });
});

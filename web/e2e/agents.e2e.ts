import { expect, it } from "vitest";
import { setup } from "./setup.ts";

const { open } = setup();

it("shows what an asked agent does under the call that asked it: live, after a reload, and not to the asking model", async () => {
  const alice = await open();
  await alice.send('/call ask_mathematician {"question":"Work out 12*(3+4)."}\n/say Asked.');
  await alice.answers.filter({ hasText: "Asked." }).waitFor();
  await alice.quiet();
  const shown = async (): Promise<void> => {
    const agent = alice.page.getByRole("group", { name: "Agent mathematician" });
    await agent.waitFor();
    expect(await agent.count()).toBe(1);
    await agent.locator("summary").first().click();
    await agent.getByText("Work out 12*(3+4).").waitFor();
    await agent.getByRole("group", { name: "Tool call calculator" }).waitFor();
    expect(await agent.locator("summary").first().textContent()).toMatch(/mathematician\s+done/);
    expect(await alice.answers.count()).toBe(2);
  };
  await shown();
  await alice.page.reload();
  await alice.answers.filter({ hasText: "Asked." }).waitFor();
  await shown();
  await alice.send("/recite");
  await alice.answers.filter({ hasText: "offered:" }).waitFor();
  await alice.quiet();
  const recited = await alice.answers.last().textContent();
  expect(recited).toContain("ask_mathematician");
  expect(recited).not.toContain("calls: calculator");
});

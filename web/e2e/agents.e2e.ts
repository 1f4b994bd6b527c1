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

it("asks the person for an asked agent, and continues that agent with the answer", async () => {
  const alice = await open();
  const script = '/call ask {"question":"How many?","choices":["two","three"]}\n/say I know now.';
  await alice.send(`/call ask_mathematician ${JSON.stringify({ question: script })}\n/say Asked.`);
  const card = alice.page.getByRole("region", { name: "The agent asks" });
  await card.getByText("How many?", { exact: true }).waitFor();
  await card.getByLabel("Answer", { exact: true }).selectOption("three");
  await card.getByRole("button", { name: "Answer" }).click();
  await alice.answers.getByText("Asked.", { exact: true }).waitFor();
  await alice.quiet();
  const agent = alice.page.getByRole("group", { name: "Agent mathematician" });
  expect(await agent.count()).toBe(1);
  await agent.locator("summary").first().click();
  await agent.getByText("I know now.", { exact: true }).waitFor();
  expect(await agent.locator("summary").first().textContent()).toMatch(/mathematician\s+done/);
  await agent.getByRole("group", { name: "Tool call ask" }).locator("summary").click();
  await agent.getByLabel("Result").getByText("three").waitFor();
});

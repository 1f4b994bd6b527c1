import { expect, it } from "vitest";
import type { Locator } from "playwright-core";
import { setup } from "./setup.ts";
import type { Window } from "./windows.ts";

const { open } = setup();

/** The last answer with a text. The result of the tool, which is folded, has the text too. */
const answer = (window: Window, text: string): Locator => window.answers.filter({ hasText: text }).last();

async function choose(window: Window, agent: string): Promise<void> {
  await window.page.getByRole("combobox", { name: "Agent that answers" }).selectOption(agent);
}

/** The rows of the table below a heading, by their first cell. */
async function table(report: Locator, heading: string): Promise<Map<string, string[]>> {
  const rows = await report.evaluate((answer, text) => {
    const head = [...answer.querySelectorAll("h3, h4, h5")].find((one) => one.textContent === text);
    let at = head?.nextElementSibling;
    while (at && !at.querySelector("table")) at = at.nextElementSibling;
    return [...at?.querySelectorAll("tr") ?? []].map((row) => [...row.children].map((cell) => cell.textContent ?? ""));
  }, heading);
  return new Map(rows.map(([first = "", ...rest]) => [first, rest]));
}

// The figures of the sample are fixed, because its seed is. agents/own/advisor has cases that were worked by hand.
it("advises on the sample data: figures, charts, savings", { timeout: 60_000 }, async () => {
  const alice = await open();
  await choose(alice, "advisor");
  await alice.send("sample");
  const report = answer(alice, "AI cost and performance: 524.36 USD in 30 days");
  await report.waitFor();
  await alice.quiet();
  await report.getByText("Data: 120 rows, 30 days, 2026-09-01 to 2026-09-30. Sufficiency: 1.00 (full).").waitFor();
  await report.getByText("built-in sample").waitFor();
  for (const colleague of ["triage", "data", "savings", "actions"]) {
    const line = alice.page.getByRole("group", { name: `Agent advisor_${colleague}` });
    expect(await line.locator("summary").first().textContent()).toMatch(/ done$/);
  }
  expect(await alice.page.getByRole("group", { name: "Agent advisor_helper" }).count()).toBe(0);
  const cost = await table(report, "Cost and speed");
  expect(cost.get("gpt-4.1")).toEqual(["33295", "94366782", "12125974", "285.74", "8.58", "0.75", "2400", "6696"]);
  expect(cost.get("all")).toEqual(["165595", "189082142", "19648157", "524.36", "3.17", "0.79", "504", "5252"]);
  await report.getByText("On 2026-09-17 12.46 % of the requests failed").waitFor();
  const savings = await table(report, "How to save");
  expect(savings.get("Send 50 % of the requests of gpt-4.1 to gpt-4.1-mini")?.[0]).toBe("114.30");
  expect(await report.getByRole("figure").count()).toBe(2);
  const days = report.getByRole("figure", { name: "Chart: Cost per day in USD" });
  await days.getByText("Values", { exact: true }).click();
  expect(await days.getByRole("row").count()).toBe(31);
  await days.getByRole("row", { name: "2026-09-30 25.18" }).waitFor();
  for (const width of [1440, 390]) {
    await alice.page.setViewportSize({ width, height: 900 });
    await alice.fit();
  }
  await alice.page.reload();
  await report.waitFor();
  expect(await report.getByRole("figure").count()).toBe(2);
});

it("advises on a pasted table, lists missing data, and reads the corrected table", { timeout: 60_000 }, async () => {
  const alice = await open();
  await choose(alice, "advisor");
  await alice.send("How can I save?");
  await answer(alice, "Not enough data for a report").waitFor();
  await alice.page.getByRole("group", { name: "Agent advisor_helper" }).waitFor();
  await alice.quiet();
  const head = "day,model,requests,input_tokens,output_tokens,latency_ms,errors";
  await alice.send(`Here:\n${head}\n2026-01-01,gpt-4.1,10,1000000,half,900,0\n`);
  await answer(alice, "line 3: output_tokens: write a whole number").waitFor();
  await alice.quiet();
  // At list prices: 1,000,000 · 2 USD + 100,000 · 8 USD per million are 2.80 USD, and 2,000,000 · 0.40 + 500,000 · 1.60 are 1.60 USD.
  await alice.send(`Here:\n${head}\n2026-01-01,gpt-4.1,10,1000000,100000,900,0\n2026-01-02,gpt-4.1-mini,20,2000000,500000,300,1\n`);
  const report = answer(alice, "AI cost and performance: 4.40 USD in 2 days");
  await report.waitFor();
  await alice.quiet();
  expect((await table(report, "Cost and speed")).get("gpt-4.1-mini")).toEqual(["20", "2000000", "500000", "1.60", "80.00", "5.00", "300", "300"]);
  await report.getByText("Sufficiency: 0.73 (partial)").waitFor(); // tokens, cost and latency 0.6; 2 of 14 days 0.03; errors 0.1
  await report.getByText("the column feature, such as support or search").waitFor();
});

it("draws no chart from a hostile block, and runs nothing", async () => {
  const alice = await open();
  const hostile = ["bar: <svg onload=alert(1)>", "a | <b>", "<img src=https://evil.example/x onerror=alert(1)> | 5", "\u202efdp | 1"];
  await alice.send(["/say ```chart", ...hostile, "```", "```chart", "bar: t", "a | b", "x | 1e999", "```", "end"].join("\n"));
  const shown = answer(alice, "end");
  await shown.waitFor();
  await alice.quiet();
  expect(await shown.getByRole("figure").count()).toBe(1);
  expect(await shown.locator("img, script, a").count()).toBe(0);
  await shown.getByText("x | 1e999").waitFor();
  await alice.fit();
});

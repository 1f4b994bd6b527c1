import { expect, it } from "vitest";
import { setup } from "./setup.ts";

const { open } = setup();

it("keeps the order of text, thinking and calls in one answer: live, after a reload, and for the model", async () => {
  const alice = await open();
  await alice.send('/say First.\n/think Hm.\n/say Second.\n/call calculator {"expression":"6*7"}\n/say Third.');
  await alice.answers.filter({ hasText: "Third." }).waitFor();
  await alice.quiet();
  const shown = async (): Promise<string[]> =>
    (await alice.answers.allTextContents()).map((text) => /First|Hm|Second.*calculator.*42|Third/.exec(text.replaceAll("\n", " "))?.[0]?.slice(0, 6) ?? text);
  expect(await shown()).toEqual(["First", "Hm", "Second", "Third"]);
  await alice.page.reload();
  await alice.answers.filter({ hasText: "Third." }).waitFor();
  expect(await shown()).toEqual(["First", "Hm", "Second", "Third"]);
  await alice.send("/recite");
  await alice.answers.filter({ hasText: "offered:" }).waitFor();
  await alice.quiet();
  expect(await alice.answers.last().textContent()).toMatch(/assistant: First\.\s+Second\.\s+calls: calculator .*\s+tool: 42\s+assistant: Third\./);
});

it("refuses to send an invisible text, and says so", async () => {
  const alice = await open();
  for (const blank of ["\u3000", "\u200b\u2060"]) {
    await alice.send(blank);
    expect(await alice.questions.count()).toBe(0);
  }
  await alice.page.getByText("Write something first.").waitFor();
  await alice.send("/say hello");
  await alice.answers.filter({ hasText: "hello" }).waitFor();
  expect(await alice.questions.count()).toBe(1);
});

it("shows the maximum length of a title, and cuts none", async () => {
  const alice = await open();
  await alice.send("/say hello");
  await alice.quiet();
  await alice.threads.first().getByRole("button", { name: /Actions/ }).click();
  await alice.page.getByRole("menuitem", { name: "Rename" }).click();
  const field = alice.page.getByRole("textbox", { name: "Title" });
  const long = "👨‍👩‍👧".repeat(60);
  await field.fill(long);
  await field.press("Enter");
  await alice.page.getByText("A title has at most 200 characters, and this one has 300. Shorten it.").waitFor();
  expect(await field.inputValue()).toBe(long);
  await field.fill("👨‍👩‍👧".repeat(40));
  await field.press("Enter");
  await alice.threads.filter({ hasText: "👨‍👩‍👧".repeat(40) }).waitFor();
});

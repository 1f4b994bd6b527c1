import { expect, it } from "vitest";
import type { Locator } from "playwright-core";
import { verify } from "../tools/verify-events.mjs";
import { setup } from "./setup.ts";
import type { Window } from "./windows.ts";

const test = setup({ viewport: { width: 1100, height: 750 } });
const { newUser, open } = test;

const card = ({ page }: Window): Locator => page.getByRole("region", { name: "The agent asks" });
const call = ({ page }: Window, tool: string): Locator => page.getByRole("group", { name: `Tool call ${tool}`, exact: true });

/** Saves a note and has the agent ask whether it may delete it. */
async function asked(window: Window): Promise<void> {
  await window.send('/call notes_save {"text":"milk"}');
  await call(window, "notes_save").getByLabel("Result").waitFor();
  await window.quiet();
  await window.send("/call notes_clear {}\n/say that was it");
  await card(window).waitFor();
  await window.quiet();
}

it("asks before a destructive call, and continues after an approval", async () => {
  const alice = await open();
  await asked(alice);
  await expect.poll(() => alice.focused()).toBe("The agent asks before it goes on");
  await card(alice).getByText("notes_clear").waitFor();
  await alice.threads.getByRole("img", { name: "waits for your answer" }).waitFor();
  await alice.fit();
  await alice.page.setViewportSize({ width: 390, height: 800 });
  await alice.fit();
  await alice.page.setViewportSize({ width: 1100, height: 750 });
  // The question stays open, in every window.
  await alice.page.reload();
  await card(alice).getByRole("button", { name: "Allow" }).focus();
  await alice.page.keyboard.press("Enter");
  await alice.answers.getByText("that was it").waitFor();
  await card(alice).waitFor({ state: "detached" });
  expect(await alice.focused()).toBe("Message");
  expect(await call(alice, "notes_clear").getByLabel("Result").count()).toBe(1);
  await alice.threads.getByRole("img", { name: "waits for your answer" }).waitFor({ state: "detached" });
  await alice.quiet();
  expect(await verify(alice.streams)).toMatchObject({ streams: 1 });
});

it("takes a refusal, and treats a message as one", async () => {
  const alice = await open();
  await asked(alice);
  await card(alice).getByRole("button", { name: "Refuse" }).click();
  await call(alice, "notes_clear").getByLabel("Result").waitFor();
  await alice.quiet();
  await alice.send("/call notes_clear {}");
  await card(alice).waitFor();
  await alice.send("/call notes_list {}");
  await alice.questions.filter({ hasText: "notes_list" }).waitFor();
  await call(alice, "notes_list").getByLabel("Result").getByText("milk").waitFor();
  await card(alice).waitFor({ state: "detached" });
  await alice.page.reload();
  await call(alice, "notes_list").getByLabel("Result").getByText("milk").waitFor();
  expect(await card(alice).count()).toBe(0);
});

it("lets the faster of two windows answer, and informs the other", async () => {
  let late = false;
  const held: (() => void)[] = [];
  const name = newUser();
  const first = await open(name);
  await asked(first);
  const other = await test.newContext();
  await other.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => (late ? held.push(() => socket.send(text)) : socket.send(text)));
  });
  const second = await open(name, first.hash, other);
  await card(second).waitFor();
  late = true;
  await card(first).getByRole("button", { name: "Allow" }).click();
  await first.answers.getByText("that was it").waitFor();
  await card(second).getByRole("button", { name: "Refuse" }).click();
  await expect.poll(() => held.some(Boolean)).toBe(true);
  late = false;
  await expect.poll(() => {
    for (const say of held.splice(0)) say();
    return second.page.getByRole("alert").count();
  }).toBe(1);
  await second.answers.getByText("that was it").waitFor();
  expect(await card(second).count()).toBe(0);
});

it("lists the runs, and stops one", async () => {
  const alice = await open();
  await alice.send("what is 12*(3+4)?");
  await alice.answers.getByText("84").first().waitFor();
  await alice.quiet();
  await alice.send("/stream 2000 20");
  await alice.answer("3 ");
  const opener = alice.page.getByRole("button", { name: "Your runs" });
  await opener.focus();
  await alice.page.keyboard.press("Enter");
  const panel = alice.page.getByRole("dialog", { name: "Your runs" });
  await panel.getByText("1 running or queued").waitFor();
  await panel.getByText("Finished").waitFor();
  await panel.getByText(/2 model calls, 1 tool call/).waitFor();
  await alice.fit();
  await panel.getByRole("button", { name: /^Stop the run in/ }).click();
  await panel.getByText("Nothing is running.").waitFor();
  await panel.getByText("Stopped").waitFor();
  await alice.page.setViewportSize({ width: 390, height: 800 });
  await alice.fit();
  await alice.page.setViewportSize({ width: 1100, height: 750 });
  await alice.page.keyboard.press("Escape");
  await expect.poll(() => alice.focused()).toBe("Your runs");
  await alice.page.getByText("Stopped.").waitFor();
});

it("keeps a message that comes too soon, and shows the seconds to wait", async () => {
  let limited = true;
  await test.context.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { type, requestId, runId } = JSON.parse(String(text)) as { type: string; requestId: string; runId: string };
      if (type !== "run" || !limited) return server.send(text);
      socket.send(JSON.stringify({ type: "rejected", requestId, runId, code: "rate_limited", message: "Too many runs in a short time.", retryAfterMs: 3000 }));
    });
  });
  const alice = await open();
  await alice.send("/say at last");
  await alice.page.getByRole("timer").getByText(/You can send again in [1-3] s\./).waitFor();
  expect(await alice.composer.inputValue()).toBe("/say at last");
  expect(await alice.focused()).toBe("Message");
  await alice.fit();
  await alice.page.getByText("You can send again now.").waitFor();
  limited = false;
  await alice.page.keyboard.press("Enter");
  await alice.answers.getByText("at last").waitFor();
});

it("deletes everything of a user, after asking twice, in all windows", async () => {
  const name = newUser();
  const first = await open(name);
  await first.send("/say not for long");
  await first.answers.getByText("not for long").waitFor();
  const second = await open(name, first.hash);
  await second.answers.getByText("not for long").waitFor();
  await first.composer.fill("a draft");
  await first.page.getByRole("button", { name: "Your runs" }).click();
  await first.page.getByRole("button", { name: "Delete all my data" }).click();
  const dialog = first.page.getByRole("dialog", { name: "Delete all my data" });
  await first.fit();
  await dialog.getByRole("button", { name: "Delete everything" }).click();
  await dialog.getByRole("alert").getByText("Nothing was deleted.").waitFor();
  await dialog.getByLabel("Type “delete everything” to confirm").fill("delete everything");
  await first.page.keyboard.press("Enter");
  await first.page.getByRole("heading", { name: /^Everything is (being )?deleted/ }).waitFor();
  await first.fit();
  for (const window of [first, second]) {
    await window.page.getByRole("heading", { name: "Everything is deleted" }).waitFor();
    expect(await window.page.locator("body").textContent()).not.toContain("not for long");
  }
  expect(await first.page.evaluate(() => JSON.stringify(sessionStorage))).not.toContain("a draft");
  await second.page.reload();
  await second.page.getByRole("heading", { name: "Everything is being deleted" }).waitFor();
  await second.page.getByText("24 hours").waitFor();
});

it("makes a form from a schema, sends the values, and keeps refused ones", async () => {
  const question = {
    id: "i1", reason: "input_required", toolCallId: "c1", message: "Which room? \u202eesreveR", expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    metadata: { carrel: { runId: "r", tool: "book", arguments: "{}" } },
    responseSchema: {
      type: "object", required: ["city", "nights"],
      properties: {
        city: { type: "string", title: "City", description: "Where to?" }, nights: { type: "integer" }, price: { type: "number" },
        pets: { type: "boolean" }, room: { enum: ["single", "double"] },
      },
    },
  };
  const decision = { ...question, id: "i2", reason: "tool_call", message: "May it?", responseSchema: undefined, metadata: { carrel: { tool: "pay", arguments: '{"to":"a\u202eb"}' } } };
  const runs: { threadId: string; runId: string; messages: unknown; resume: unknown }[] = [];
  let refuse = (): void => {};
  await test.context.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    const say = (frame: object): void => socket.send(JSON.stringify(frame));
    server.onMessage((text) => {
      const frame = JSON.parse(String(text)) as { type: string };
      say(frame.type === "ready" && runs.length < 2 ? { ...frame, interrupts: [question, decision] } : frame);
    });
    socket.onMessage((text) => {
      const frame = JSON.parse(String(text)) as { type: string; runId: string; threadId: string; messages: unknown; resume: unknown };
      if (frame.type !== "run") return server.send(text);
      const { runId, threadId } = frame;
      if (runs.push(frame) === 1) {
        refuse = () => say({ type: "rejected", requestId: `run.${runId}`, runId, code: "interrupted", message: "Nights are 1 to 9.", interrupts: [question, decision] });
      } else say({ type: "accepted", requestId: `run.${runId}`, runId, threadId, state: "running" });
    });
  });
  const alice = await open();
  const form = alice.page.getByRole("group", { name: "Question: book" });
  await form.getByText("Which room? [U+202E]esreveR", { exact: true }).waitFor();
  await alice.page.getByText('{"to":"a[U+202E]b"}', { exact: true }).waitFor();
  await form.getByLabel("City").fill("Bern");
  await form.getByLabel("nights").fill("1.5");
  await form.getByRole("button", { name: "Answer" }).click();
  await form.getByRole("alert").getByText("“nights” must be a whole number.").waitFor();
  await alice.page.setViewportSize({ width: 390, height: 800 });
  await alice.fit();
  await form.getByLabel("nights").fill("10");
  await form.getByLabel("pets").selectOption("no");
  await form.getByLabel("room").selectOption("double");
  await form.getByRole("button", { name: "Answer" }).click();
  await alice.page.getByText("1 of 2 still open").waitFor();
  await alice.page.getByRole("button", { name: "Allow" }).click();
  const all = alice.page.getByRole("button", { name: "Send answers" });
  await all.click();
  await card(alice).waitFor({ state: "detached" });
  await expect.poll(() => runs.length).toBe(1); // the page hides the card before its frame arrives here
  refuse();
  await alice.page.getByRole("alert").getByText("Nights are 1 to 9.").waitFor();
  expect(await form.getByLabel("City").inputValue()).toBe("Bern");
  await form.getByLabel("nights").fill("2");
  await form.getByRole("button", { name: "Answer" }).click();
  await alice.page.getByRole("button", { name: "Refuse" }).last().click();
  await all.click();
  await card(alice).waitFor({ state: "detached" });
  await expect.poll(() => runs.length).toBe(2);
  const given = (nights: number) => ({ interruptId: "i1", status: "resolved", payload: { city: "Bern", nights, pets: false, room: "double" } });
  expect(runs.map(({ messages, resume }) => ({ messages, resume }))).toEqual([
    { messages: [], resume: [given(10), { interruptId: "i2", status: "resolved" }] },
    { messages: [], resume: [given(2), { interruptId: "i2", status: "cancelled" }] },
  ]);
});

it("shows an agent's own question, and continues with the answer", async () => {
  const alice = await open();
  await alice.send('/call ask {"question":"Which color?","choices":["red","green"]}\n/say thanks');
  await card(alice).getByText("Which color?", { exact: true }).waitFor();
  await card(alice).getByLabel("Answer", { exact: true }).selectOption("green");
  await card(alice).getByRole("button", { name: "Answer" }).click();
  await call(alice, "ask").getByLabel("Result").getByText("green").waitFor();
  await alice.answers.getByText("thanks", { exact: true }).waitFor();
  await alice.quiet();
  expect(await card(alice).count()).toBe(0);
});

it("makes a call with the arguments that a person edited", async () => {
  const alice = await open();
  // The calls of one answer run at the same time, so the first note is saved by a run of its own.
  await alice.send('/call notes_save {"text":"keep me"}\n/say saved');
  await alice.answers.getByText("saved", { exact: true }).waitFor();
  await alice.quiet();
  await alice.send('/call notes_save {"text":"drop me"}\n/call notes_delete {"number":1}\n/say done');
  await card(alice).getByText("Delete this note? It cannot be undone.", { exact: true }).waitFor();
  await card(alice).getByRole("button", { name: "Change the arguments" }).click();
  const number = card(alice).getByLabel("number", { exact: true });
  expect(await number.inputValue()).toBe("1");
  await number.fill("two");
  await card(alice).getByRole("button", { name: "Allow with these arguments" }).click();
  await card(alice).getByRole("alert").getByText("“number” must be a whole number.").waitFor();
  await alice.fit();
  await number.fill("2");
  await number.press("Enter");
  await call(alice, "notes_delete").getByLabel("Result").getByText('A person changed the arguments to {"number":2}').waitFor();
  await alice.quiet();
  await alice.send("my notes");
  await alice.answers.getByText("keep me").last().waitFor();
  await alice.quiet();
  expect(await call(alice, "notes_list").getByLabel("Result").textContent()).not.toContain("drop me");
});

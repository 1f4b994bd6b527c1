import { expect, it } from "vitest";
import type { Locator } from "playwright-core";
import type { Example } from "../test/page.ts";
import { setup, upTo } from "../test/suite.ts";
import { killWorkers } from "../test/workers.ts";

const { open, context } = setup("copilotkit");

async function send({ page }: Example, text: string): Promise<void> {
  await page.getByTestId("copilot-chat-textarea").fill(text);
  await page.getByTestId("copilot-send-button").click();
}
const answers = ({ page }: Example): Locator => page.getByTestId("copilot-assistant-message");
const says = (example: Example, text: string): Promise<void> => answers(example).filter({ hasText: text }).last().waitFor();
async function numbers(example: Example): Promise<number[]> {
  return ((await answers(example).last().textContent()) ?? "").match(/\d+/g)?.map(Number) ?? [];
}

it("shows text, and the same after a reload", async () => {
  const chat = await open();
  await send(chat, "/say hello there");
  await says(chat, "hello there");
  await chat.page.reload();
  await says(chat, "hello there");
  expect(await answers(chat).count()).toBe(1);
});

it("asks, is refused, asks again and is approved", async () => {
  const chat = await open();
  await send(chat, "note: buy milk");
  await says(chat, "Saved");
  for (const [decision, then] of [["Refuse", "buy milk"], ["Approve", "no notes"]] as const) {
    await send(chat, "delete all notes");
    await chat.approval.waitFor();
    const before = await answers(chat).count();
    await chat.approval.getByRole("button", { name: decision }).click();
    // CopilotKit takes one message at a time: the answer to the decision comes first.
    await expect.poll(() => answers(chat).count(), { timeout: 15_000 }).toBeGreaterThan(before);
    await chat.page.getByTestId("copilot-loading-cursor").waitFor({ state: "detached" });
    await send(chat, "what are my notes?");
    await says(chat, then);
  }
});

it("neither loses nor repeats text over a reload and two killed sockets", async () => {
  const sockets: (() => Promise<void>)[] = [];
  await context().routeWebSocket(/./, (socket) => {
    socket.connectToServer();
    sockets.push(() => socket.close());
  });
  const chat = await open();
  await send(chat, "/stream 250 50");
  await says(chat, "20 ");
  await sockets.at(-1)!();
  await says(chat, "80 ");
  await chat.page.reload();
  await says(chat, "110 ");
  await sockets.at(-1)!();
  await says(chat, "250");
  await expect.poll(() => numbers(chat)).toEqual(upTo(250));
  expect(await answers(chat).count()).toBe(1);
});

it("shows the whole answer if its worker is killed", async () => {
  const chat = await open();
  await send(chat, "/stream 150 50");
  await says(chat, "30 ");
  expect(killWorkers()).toBeGreaterThan(0);
  await expect.poll(() => numbers(chat), { timeout: 60_000 }).toEqual(upTo(150));
});

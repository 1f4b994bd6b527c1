import { expect, it } from "vitest";
import type { Page } from "playwright-core";
import { setup } from "./setup.ts";
import type { Window } from "./windows.ts";

// Signing out, here and everywhere.

const { newContext, newUser, open } = setup();

async function signedOut(page: Page): Promise<void> {
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await page.waitForFunction(() => !Object.keys(sessionStorage).some((key) => key.startsWith("oidc.user")));
}

/** Every text of the page, and all that its window keeps. */
async function kept(page: Page): Promise<string> {
  return page.evaluate(() => `${document.body.innerText}\n${JSON.stringify({ ...sessionStorage })}`);
}

/** Times of a sign-in are whole seconds: one in the second of the sign-out counts as before it. */
async function nextSecond(page: Page): Promise<void> {
  await page.waitForFunction((after) => Date.now() > after, Date.now() + 1_000);
}

async function everywhere({ page }: Window, runsToo: boolean): Promise<void> {
  await page.getByRole("button", { name: "Your runs" }).click();
  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  const dialog = page.getByRole("dialog", { name: "Sign out everywhere" });
  if (runsToo) await dialog.getByRole("checkbox", { name: "Stop all my runs as well" }).check();
  await dialog.getByRole("button", { name: "Sign out everywhere" }).click();
}

it("signs out every device until its person signs in again", async () => {
  const [alice, bob] = [newUser(), newUser()];
  const [here, there] = await Promise.all([newContext(), newContext()]);
  const first = await open(alice, "", here);
  const second = await open(alice, first.hash, there);
  const other = await open(bob, "", there);
  await first.send("words of alice");
  await second.answer("");
  await everywhere(first, false);
  for (const { page } of [first, second]) {
    await signedOut(page);
    expect(await kept(page)).not.toContain("words of alice");
  }
  await other.connected();
  const { page } = second;
  await nextSecond(page);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(/[?&]max_age=0/);
  await second.signIn(alice);
  await second.connected();
  await second.questions.getByText("words of alice").waitFor();
});

it("stops all runs on request", async () => {
  const alice = newUser();
  const window = await open(alice);
  await window.send("/stream 500 200");
  await window.stop.waitFor();
  await everywhere(window, true);
  await signedOut(window.page);
  await nextSecond(window.page);
  await window.page.getByRole("button", { name: "Sign in", exact: true }).click();
  await window.signIn(alice);
  await window.connected();
  await window.quiet();
});

it("signs out the same person's other tabs in this browser, and no other person", async () => {
  const [alice, bob] = [newUser(), newUser()];
  const first = await open(alice);
  const second = await open(alice);
  const other = await open(bob);
  await first.page.getByRole("button", { name: "Sign out", exact: true }).click();
  await first.page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  await signedOut(second.page);
  await other.connected();
  await other.send("still here");
  await other.questions.getByText("still here").waitFor();
});

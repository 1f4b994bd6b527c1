import { expect, it } from "vitest";
import { setup } from "./setup.ts";
import { stack } from "./windows.ts";
import type { Window } from "./windows.ts";

// One window, two people: the second finds nothing of the first, and nothing is sent in the wrong name.

const test = setup({}, (context) => context.addInitScript(() => {
  // The page's real sockets: a socket that the test replaces would keep the browser from restoring the page.
  const sockets: WebSocket[] = [];
  const Real = WebSocket;
  Object.assign(globalThis, {
    sockets,
    WebSocket: class extends Real {
      constructor(url: string, protocols?: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    },
  });
}));
const { newUser, open } = test;

/** Ends the sign-in as time does, and cuts the connection. */
async function expire({ page }: Window): Promise<void> {
  await page.evaluate(() => {
    for (const key of Object.keys(sessionStorage).filter((one) => one.startsWith("oidc.user"))) {
      const user = JSON.parse(sessionStorage.getItem(key)!) as Record<string, unknown>;
      sessionStorage.setItem(key, JSON.stringify({ ...user, expires_at: 1, refresh_token: "spent" }));
    }
    for (const socket of (globalThis as unknown as { sockets: WebSocket[] }).sockets) socket.close();
  });
  await page.getByText("You are signed out").waitFor();
}

/** Makes the sign-in ten minutes old, as it is for who left a window open, and opens another socket with it. */
async function age(window: Window, user: string): Promise<void> {
  const { page } = window;
  const answer = await page.request.post(`${stack().page}issuer/token`, { form: { user, auth_age: "600" } });
  const { access_token } = await answer.json() as { access_token: string };
  const before = await page.evaluate((token) => {
    for (const key of Object.keys(sessionStorage).filter((one) => one.startsWith("oidc.user"))) {
      sessionStorage.setItem(key, JSON.stringify({ ...JSON.parse(sessionStorage.getItem(key)!) as Record<string, unknown>, access_token: token }));
    }
    const { sockets } = globalThis as unknown as { sockets: WebSocket[] };
    for (const socket of sockets) socket.close();
    return sockets.length;
  }, access_token);
  await page.waitForFunction((n) => (globalThis as unknown as { sockets: WebSocket[] }).sockets.length > n, before);
  await window.connected();
}

/** Asks for everything to be deleted, and confirms it. */
async function deleteEverything({ page }: Window): Promise<void> {
  await page.getByLabel("Type “delete everything” to confirm").fill("delete everything");
  await page.getByRole("button", { name: "Delete everything", exact: true }).click();
}

/** Where the issuer sends a browser that asks for a sign-in without a page. */
async function silently({ page }: Window): Promise<string> {
  const query = new URLSearchParams({
    response_type: "code", client_id: "carrel-page", redirect_uri: stack().page, scope: "openid", prompt: "none",
    code_challenge: "x".repeat(43), code_challenge_method: "S256",
  });
  const answer = await page.request.get(`${stack().page}issuer/authorize?${query}`, { maxRedirects: 0 });
  return answer.headers().location ?? `${answer.status()}`;
}

/** What the page goes out with, from now on. */
function sent({ page }: Window): string[] {
  const frames: string[] = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => frames.push(String(payload))));
  return frames;
}

/** All that somebody at this window could read. */
async function readable({ page }: Window): Promise<string> {
  return await page.evaluate(() => JSON.stringify([
    document.documentElement.textContent, document.title, { ...sessionStorage }, { ...localStorage }, history.state as unknown,
    [...document.querySelectorAll("input, textarea")].map((field) => (field as HTMLInputElement).value),
  ]));
}

async function back(window: Window, pages: number): Promise<void> {
  await window.page.evaluate((n) => setTimeout(() => history.go(-n)), pages);
  // The browser restored the page as it was left, and the page reloaded at once.
  await window.page.waitForFunction(() => performance.getEntriesByType("navigation").some((entry) => (entry as PerformanceNavigationTiming).type === "reload"));
  await window.connected();
}

it("sends nothing in the next person's name, and shows them nothing", async () => {
  const [alice, bob] = [newUser(), newUser()];
  const window = await open(alice);
  await window.send("/say the secret of alice");
  await window.answers.getByText("the secret of alice").waitFor();
  await window.quiet();
  const hers = window.hash;
  await expire(window);
  await window.send("/say written by alice without a connection");
  await window.questions.getByText("Sending").waitFor();
  await window.composer.fill("a draft of alice");
  const frames = sent(window);
  await window.page.getByRole("button", { name: "Sign in again" }).click();
  await window.page.getByRole("textbox", { name: "Or any other name" }).waitFor();
  expect(await window.page.evaluate(() => localStorage.length)).toBe(0); // the local issuer's page has the same origin
  await window.signIn(bob);
  await window.connected();
  expect(window.hash).not.toBe(hers);
  for (const trace of [alice, "alice", hers.slice(4)]) expect(await readable(window)).not.toContain(trace);
  expect(frames.join()).not.toContain(hers.slice(4));
  // In the history, the page that alice left comes before the issuer's page.
  await back(window, 2);
  await window.page.getByText(bob).waitFor();
  for (const trace of [alice, "of alice", "by alice"]) expect(await readable(window)).not.toContain(trace);
  await window.send("/say the answer to bob");
  await window.answers.getByText("the answer to bob").waitFor();
  expect(frames.join()).not.toMatch(/of alice|by alice|cursor":\{[^}]*"seq":[1-9].*hello\.1/);
  expect(await window.threads.count()).toBe(1);
});

it("keeps nothing of a person who signed out", async () => {
  const [alice, bob] = [newUser(), newUser()];
  const window = await open(alice);
  await window.send("/say the secret of alice");
  await window.answers.getByText("the secret of alice").waitFor();
  await window.quiet();
  await expire(window);
  await window.send("/say written by alice without a connection");
  await window.questions.getByText("Sending").waitFor();
  await window.composer.fill("a draft of alice");
  expect(await silently(window)).toMatch(/[?&]code=/); // the issuer still has a session
  await window.page.getByRole("button", { name: "Sign out" }).click();
  const enter = window.page.getByRole("button", { name: "Sign in", exact: true });
  await enter.waitFor();
  expect(await readable(window)).not.toContain("alice");
  expect(await window.page.evaluate(() => sessionStorage.length + localStorage.length)).toBe(0);
  expect(window.page.url()).toBe(stack().page);
  expect(await silently(window)).toContain("error=login_required"); // the next person must sign in
  await enter.click();
  await window.signIn(bob);
  await window.connected();
  expect(await readable(window)).not.toContain("alice");
});

it("returns the same person to their page with all unsent messages", async () => {
  const alice = newUser();
  const window = await open(alice);
  const first = window.hash;
  await expire(window);
  await window.send("/say to the first thread");
  await window.questions.getByText("Sending").waitFor();
  await window.newThread();
  await window.send("/say to the second thread");
  await window.questions.getByText("Sending").waitFor();
  const second = window.hash;
  await window.page.getByRole("button", { name: "Sign in again" }).click();
  await window.signIn(alice);
  await window.connected();
  expect(window.hash).toBe(second);
  await expect.poll(() => window.composer.inputValue()).toBe("/say to the second thread");
  await window.page.goto(new URL(`/${first}`, stack().page).href);
  await expect.poll(() => window.composer.inputValue()).toBe("/say to the first thread");
});

it("shows that a run waits for capacity, and what to do if it gets none", async () => {
  await test.context.clock.install();
  let say = (_frame: object): void => {};
  let run: { threadId: string; runId: string } | undefined;
  await test.context.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    say = (frame) => socket.send(JSON.stringify(frame));
    socket.onMessage((text) => {
      const { type, requestId, runId, threadId } = JSON.parse(String(text)) as { type: string; requestId: string; runId: string; threadId: string };
      if (type !== "run") return server.send(text);
      run = { threadId, runId };
      say({ type: "accepted", requestId, runId, threadId, state: "running" });
    });
  });
  const window = await open();
  const waiting = window.page.getByRole("status").getByText("Waiting for capacity");
  await window.send("are you there?");
  await window.stop.waitFor();
  await test.context.clock.fastForward(9_000);
  expect(await waiting.count()).toBe(0);
  await test.context.clock.fastForward(1_500);
  await waiting.waitFor();
  const { threadId, runId } = run!;
  const message = "Nothing was done. Wait a few minutes, then ask again.";
  say({ type: "events", threadId, epoch: "e", seq: 1, runId, events: [{ type: "RUN_STARTED", threadId, runId }, { type: "RUN_ERROR", code: "no_capacity", message }] });
  await window.page.getByRole("alert").getByText(message).waitFor();
  expect(await waiting.count()).toBe(0);
});

it("keeps nothing of a user who was deleted elsewhere, not even unsent messages", async () => {
  await test.context.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { type, requestId, runId } = JSON.parse(String(text)) as { type: string; requestId: string; runId: string };
      if (type !== "run") return server.send(text);
      socket.send(JSON.stringify({ type: "rejected", requestId, runId, code: "erasing", message: "Everything is being deleted." }));
    });
  });
  const window = await open();
  // In a hidden window, too.
  await window.page.evaluate(() => Object.defineProperty(document, "hidden", { get: () => true }));
  await window.send("words of alice");
  await window.page.getByRole("heading", { name: "Everything is being deleted" }).waitFor();
  expect(await readable(window)).not.toContain("words of alice");
});

it("deletes everything only after a recent sign-in", async () => {
  const [alice, bob] = [newUser(), newUser()];
  const heading = /^Everything is (being )?deleted/;
  for (const next of [bob, alice]) {
    const window = await open(alice, "", await test.newContext());
    const { page } = window;
    await age(window, alice);
    await page.getByRole("button", { name: "Your runs" }).click();
    await page.getByRole("button", { name: "Delete all my data" }).click();
    await page.getByText("Backups keep deleted data for up to 35 days.").waitFor();
    await deleteEverything(window);
    await page.getByRole("alert").getByText("Sign in again first").first().waitFor();
    await window.fit();
    await page.getByRole("button", { name: "Sign in again" }).click();
    await page.waitForURL(/[?&]prompt=login(&.*)?&max_age=0|[?&]max_age=0(&.*)?&prompt=login/);
    await window.signIn(next);
    await window.connected();
    if (next === bob) { // bob must not be asked to confirm alice's erasure
      expect(await page.getByRole("dialog").count()).toBe(0);
      continue;
    }
    await page.getByText("You have signed in again. Nothing is deleted yet").waitFor();
    expect(await page.getByRole("heading", { name: heading }).count()).toBe(0);
    await deleteEverything(window);
    await page.getByRole("heading", { name: heading }).waitFor();
  }
});

import { expect, it } from "vitest";
import { setup } from "./setup.ts";
import { stack, Window } from "./windows.ts";

const test = setup({ permissions: ["clipboard-read", "clipboard-write"], viewport: { width: 1100, height: 750 } });
const { newUser, open, watch } = test;

const hostile = [
  "<script>alert(1)</script><img src=x onerror=alert(2)><iframe src=javascript:alert(3)></iframe>",
  "[one](javascript:alert(4)) [two](JaVaScRiPt:alert(5)) [three](data:text/html,<script>alert(6)</script>) [four](//elsewhere.example/x)",
  "[five](https://example.com/?a=1) <https://example.org> mail@example.net [six](vbscript:x) [seven](#/t/stolen)",
  "![a picture](https://example.com/p.png) ![x](x\" onerror=\"alert(7)) ![d](data:image/svg+xml;base64,PHN2Zy8+)",
  "<style>body{display:none}</style><base href=//example.com/><form action=//example.com><input name=q></form>",
];

it("runs and loads nothing from a hostile model's text", async () => {
  const asked: string[] = [];
  test.context.on("request", (request) => asked.push(request.url()));
  const alice = await open();
  await alice.send(`/say Look: ${hostile.join(" ")}`);
  const answer = alice.answers.last();
  await answer.getByText("<input name=q>").waitFor();
  await alice.quiet();
  const links = await answer.getByRole("link").evaluateAll((all) => all.map((a) => [a.textContent, a.getAttribute("href"), a.getAttribute("rel"), a.getAttribute("target")]));
  const safe = ["noopener noreferrer", "_blank"];
  expect(links).toEqual([
    ["five (example.com)", "https://example.com/?a=1", ...safe], ["https://example.org", "https://example.org", ...safe],
    ["mail@example.net", "mailto:mail@example.net", ...safe], ["Image: a picture (example.com)", "https://example.com/p.png", ...safe],
  ]);
  expect(await answer.locator("img, script, iframe, style, base, form, input, svg").count()).toBe(0);
  expect(asked.filter((url) => /example\.(com|org|net)|elsewhere/.test(url))).toEqual([]);
  await alice.fit();
});

it("stays fast and in its layout with texts of any shape", async () => {
  const alice = await open();
  await alice.page.setViewportSize({ width: 390, height: 800 });
  const shapes = [">".repeat(10_000), "[".repeat(10_000), "- ".repeat(50), "*_".repeat(5_000), "x".repeat(20_000), "`x".repeat(5_000), "a|".repeat(5_000)];
  for (const shape of shapes) {
    await alice.send(`/say ${shape}end`);
    await alice.answers.filter({ hasText: "end" }).nth(shapes.indexOf(shape)).waitFor();
    await alice.quiet();
    const started = Date.now();
    expect(await alice.overflow()).toBeLessThanOrEqual(0);
    expect(Date.now() - started).toBeLessThan(2000);
  }
});

it("shows Markdown, and copies an answer and a block of code", async () => {
  const alice = await open();
  await alice.send("/say # A title\n```js\nconst one = 1;\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n- [x] **done**\n- [ ] to do ~~not~~");
  const answer = alice.answers.last();
  await answer.getByRole("heading", { name: "A title" }).waitFor();
  await answer.getByRole("cell", { name: "2" }).waitFor();
  await answer.getByRole("button", { name: "Copy code" }).click();
  await answer.getByText("Copied").waitFor();
  expect(await alice.page.evaluate(() => navigator.clipboard.readText())).toBe("const one = 1;");
  await alice.quiet();
  await answer.getByRole("button", { name: "Copy answer" }).click();
  await expect.poll(() => alice.page.evaluate(() => navigator.clipboard.readText())).toContain("# A title\n```js");
  await alice.fit();
});

it("offers example questions, by keyboard", async () => {
  const alice = await open();
  await alice.page.getByText("Your threads will be listed here.").waitFor();
  await expect.poll(() => alice.focused()).toBe("Message");
  await alice.fit();
  await alice.page.keyboard.press("Shift+Tab");
  expect(await alice.focused()).toBe("Help");
  await alice.page.keyboard.press("Enter");
  await alice.answers.getByText("built-in demonstration").waitFor();
  expect(await alice.focused()).toBe("Message");
  await alice.page.reload();
  await alice.connected();
  await expect.poll(() => alice.focused()).toBe("Message");
  await alice.page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); });
  await alice.page.keyboard.press("Tab");
  expect(await alice.focused()).toBe("Skip to the message box");
  await alice.page.keyboard.press("Enter");
  expect(await alice.focused()).toBe("Message");
});

it("shows that a run failed or was stopped, and sends it again", async () => {
  const alice = await open();
  await alice.send("/fail model");
  const failure = alice.page.getByRole("alert").filter({ hasText: "The run failed" });
  await failure.waitFor();
  await alice.fit();
  await failure.getByRole("button", { name: "Try again" }).click();
  await expect.poll(() => alice.questions.count()).toBe(2);
  await failure.waitFor();
  await alice.page.reload();
  await alice.page.getByText("No answer came.").waitFor();
  await alice.send("/stream 1000 20");
  await alice.answer("3 ");
  await alice.stop.click();
  await alice.page.getByText("Stopped.").waitFor();
  expect(await alice.focused()).toBe("Message");
  await alice.page.reload();
  await alice.page.getByText("before the answer was complete").waitFor();
});

it("keeps drafts by thread over a reload", async () => {
  const alice = await open();
  const first = alice.hash;
  await alice.composer.fill("for the first");
  await alice.newThread();
  await expect.poll(() => alice.composer.inputValue()).toBe("");
  await alice.composer.fill("for the second");
  await alice.page.reload();
  await expect.poll(() => alice.composer.inputValue()).toBe("for the second");
  await alice.page.goto(new URL(`/${first}`, stack().page).href);
  await expect.poll(() => alice.composer.inputValue()).toBe("for the first");
  await alice.send("/say sent");
  await alice.answers.getByText("sent").waitFor();
  await alice.page.reload();
  await alice.connected();
  expect(await alice.composer.inputValue()).toBe("");
});

it("shows that it is offline, and sends written messages once it is online", async () => {
  let cut = (): void => {};
  let gone = false;
  await test.context.routeWebSocket(/./, (socket) => {
    if (gone) return void socket.close();
    socket.connectToServer();
    cut = () => void socket.close();
  });
  const alice = await open();
  gone = true;
  cut();
  await alice.page.getByText("What you send now is sent when there is one again.").waitFor();
  await alice.fit();
  await alice.send("/say before the reload");
  await alice.questions.getByText("Sending").waitFor();
  await alice.page.reload();
  await expect.poll(() => alice.composer.inputValue()).toBe("/say before the reload");
  await alice.send("/say after all");
  await alice.questions.getByText("Sending").waitFor();
  gone = false;
  // The page may reconnect by its own timer before the click, which removes the button.
  await alice.page.getByRole("button", { name: "Try now" }).click({ timeout: 2_000 }).catch(() => {});
  await alice.answers.getByText("after all").waitFor();
});

it("keeps drafts when the sign-in expires, and restores them after the next one", async () => {
  let cut = (): void => {};
  await test.context.routeWebSocket(/./, (socket) => {
    socket.connectToServer();
    cut = () => void socket.close();
  });
  const name = newUser();
  const alice = await open(name);
  const at = alice.hash;
  await alice.composer.fill("not yet sent");
  await alice.page.evaluate(() => {
    for (const key of Object.keys(sessionStorage)) {
      if (!key.startsWith("oidc.user")) continue;
      const user = JSON.parse(sessionStorage.getItem(key)!) as Record<string, unknown>;
      sessionStorage.setItem(key, JSON.stringify({ ...user, expires_at: 1, refresh_token: "spent" }));
    }
  });
  cut();
  await alice.page.getByText("You are signed out").waitFor();
  expect(await alice.composer.inputValue()).toBe("not yet sent");
  await alice.fit();
  await alice.page.getByRole("button", { name: "Sign in again" }).click();
  await alice.signIn(name);
  await alice.connected();
  expect(alice.hash).toBe(at);
  await expect.poll(() => alice.composer.inputValue()).toBe("not yet sent");
});

it("shows the list of threads in a drawer on a phone", async () => {
  const alice = await open();
  await alice.page.setViewportSize({ width: 390, height: 800 });
  await alice.send(`/say ${"a longer text than the window is wide ".repeat(5)}`);
  await alice.quiet();
  await alice.fit();
  await alice.page.getByRole("button", { name: "Threads", exact: true }).click();
  expect(await alice.focused()).toBe("New thread");
  await alice.fit();
  await alice.page.keyboard.press("Escape");
  expect(await alice.focused()).toBe("Threads");
  await alice.threads.first().waitFor({ state: "hidden" });
});

it("finds threads by their titles, and opens one by keyboard", async () => {
  const alice = await open();
  for (const text of ["/say apples", "/say pears"]) {
    await alice.newThread();
    await alice.send(text);
    await alice.threads.filter({ hasText: text.slice(5) }).waitFor();
  }
  const search = alice.page.getByRole("searchbox", { name: "Search threads by title" });
  await search.fill("APPLE");
  await alice.page.getByText("1 of 2").waitFor();
  expect(await alice.threads.count()).toBe(1);
  await alice.threads.getByRole("button", { name: "apples" }).first().focus();
  await alice.page.keyboard.press("Enter");
  await alice.answers.getByText("apples").waitFor();
  expect(await alice.focused()).toBe("Message");
  await search.fill("plums");
  await alice.page.getByText("No title has this.").waitFor();
});

it("fetches earlier messages, and keeps the scroll position", async () => {
  const alice = await open();
  // Each of these runs has 14 messages, and the page receives about 50 messages of ended runs.
  const calls = Array.from({ length: 10 }, (_, i) => `/call calculator {"expression":"${i}+1"}`).join("\n");
  for (let n = 1; n <= 6; n++) {
    await alice.send(`/say round ${n} begins\n${calls}\n/say round ${n} ends`);
    await alice.answers.getByText(`round ${n} ends`).waitFor();
    await alice.quiet();
  }
  await alice.page.reload();
  await alice.answers.getByText("round 6 ends").waitFor();
  expect(await alice.answers.getByText("round 1 begins").count()).toBe(0);
  // click() would scroll to the button first, which also fetches the messages and removes the button.
  await alice.page.getByRole("button", { name: "Earlier messages" }).dispatchEvent("click");
  await alice.answers.getByText("round 1 begins").waitFor();
  await expect.poll(() => alice.page.evaluate(() => document.querySelector(".viewport")!.scrollTop)).toBeGreaterThan(100);
});

it("renames a thread in all windows, by keyboard", async () => {
  const name = newUser();
  const [first, second] = [await open(name), await open(name)];
  await first.send("/say of apples");
  for (const window of [first, second]) await window.threads.filter({ hasText: "of apples" }).waitFor();
  await first.quiet();
  await first.page.getByRole("button", { name: /^Actions for/ }).focus();
  await first.page.keyboard.press("Enter");
  expect(await first.focused()).toBe("Rename");
  await first.fit();
  await first.page.keyboard.press("ArrowDown");
  expect(await first.focused()).toBe("Delete");
  await first.page.keyboard.press("Escape");
  await expect.poll(() => first.focused()).toMatch(/^Actions for/);
  await first.page.keyboard.press("Enter");
  await expect.poll(() => first.focused()).toBe("Rename");
  await first.page.keyboard.press("Enter");
  expect(await first.focused()).toBe("Title");
  await first.page.keyboard.type("Of <b>pears</b>");
  await first.fit();
  await first.page.keyboard.press("Enter");
  for (const window of [first, second]) await window.threads.filter({ hasText: "Of <b>pears</b>" }).waitFor();
  await expect.poll(() => first.focused()).toBe("Actions for Of <b>pears</b>");
});

it("deletes a thread in all windows, after asking", async () => {
  const name = newUser();
  const first = await open(name);
  await first.send("/say the kept thread");
  await first.threads.filter({ hasText: "kept thread" }).waitFor();
  await first.quiet();
  await first.newThread();
  await first.send("/say the deleted thread");
  await first.threads.filter({ hasText: "deleted thread" }).waitFor();
  await first.quiet();
  const second = await open(name, first.hash);
  await second.answers.getByText("the deleted thread").waitFor();
  const ask = async (): Promise<void> => {
    await first.threads.filter({ hasText: "deleted thread" }).getByRole("button", { name: /^Actions for/ }).click();
    await first.page.getByRole("menuitem", { name: "Delete" }).click();
  };
  await ask();
  await first.page.getByRole("dialog").waitFor();
  await first.fit();
  await first.page.keyboard.press("Escape");
  await expect.poll(() => first.focused()).toMatch(/^Actions for/);
  await ask();
  await first.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  for (const window of [first, second]) await window.threads.filter({ hasText: "deleted thread" }).waitFor({ state: "detached" });
  await first.page.getByText("Ask something.").waitFor();
  await expect.poll(() => first.focused()).toBe("Message");
  await second.page.getByText("This thread was deleted.").waitFor();
  await second.fit();
  await second.page.reload();
  await second.threads.filter({ hasText: "kept thread" }).waitFor();
  expect(await second.threads.count()).toBe(1);
});

it("has no accessibility fault before the sign-in", async () => {
  const page = await test.context.newPage();
  await page.goto(stack().page);
  await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  const window = Window.on(page);
  watch(window);
  await window.fit();
});

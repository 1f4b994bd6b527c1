import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Browser, Page } from "playwright-core";
import { browser, stack, Window } from "./windows.ts";

// Pages of other sites in this machine's browser reach nothing of the stack. See docs/local.md.

/** A name that leads to this machine, as DNS rebinding makes it. */
const EVIL = "evil.test";

let chrome: Browser;
let site: Server;
let page: Page;

beforeAll(async () => {
  // Without the browser's own protection of local networks, which not every browser has.
  chrome = await browser(`--host-resolver-rules=MAP ${EVIL} 127.0.0.1`, "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests");
  site = createServer((_, response) => response.setHeader("content-type", "text/html").end("<title>elsewhere</title>"));
  await new Promise<void>((listening) => site.listen(0, "127.0.0.1", listening));
  page = await chrome.newPage();
});
afterAll(async () => {
  await chrome?.close();
  site?.close();
});

/** Opens the page of the other site. */
const elsewhere = () => page.goto(`http://${EVIL}:${(site.address() as AddressInfo).port}/`);

/** One address of each listener, and those of the page server that tell or give something. */
function addresses(): readonly string[] {
  const at = stack();
  return [
    at.page, `${at.page}config.json`, at.ops, `${at.ops}.json`, `${at.page}meters.json`, at.token, `${at.issuer}/keys`, at.dynamodb, at.sts,
    `${at.lambda}/2015-03-31/functions/carrel-TurnFunction/invocations`, `${at.connections}/x`, at.websocket.replace(/^ws/, "http"),
  ];
}

it("refuses a page whose host name resolves to this machine", async () => {
  for (const address of addresses()) {
    const led = new URL(address);
    led.hostname = EVIL;
    expect([address, (await page.goto(led.href))?.status()]).toEqual([address, 403]);
  }
});

it("refuses scripts of another site", async () => {
  await elsewhere();
  const statuses: number[] = [];
  page.on("response", (response) => statuses.push(response.status()));
  for (const address of addresses()) {
    const read = await page.evaluate(async (url) => {
      await fetch(url, { mode: "no-cors", method: "POST", body: "user=alice" });
      return fetch(url).then((response) => response.text(), () => undefined);
    }, address);
    expect([address, read]).toEqual([address, undefined]);
  }
  expect(statuses.length).toBeGreaterThanOrEqual(addresses().length);
  expect(new Set(statuses)).toEqual(new Set([403]));
  const opened = page.evaluate((url) => new Promise((done) => {
    const socket = new WebSocket(url, ["carrel.v1", "bearer.x"]);
    socket.onopen = () => done(true);
    socket.onerror = () => done(false);
  }), stack().websocket);
  expect(await opened).toBe(false);
});

it("lets a link of another site open the page, but not the operators' page", async () => {
  for (const [address, status] of [[stack().page, 200], [stack().ops, 403]] as const) {
    await elsewhere();
    await page.setContent(`<a href="${address}">a link</a>`);
    const [response] = await Promise.all([page.waitForResponse(address), page.getByRole("link").click()]);
    expect([address, response.status()]).toEqual([address, status]);
  }
});

it("signs in by both names of this machine", async () => {
  for (const name of ["127.0.0.1", "localhost"]) {
    const context = await chrome.newContext();
    const window = Window.on(await context.newPage());
    const address = new URL(stack().page);
    address.hostname = name;
    await window.page.goto(address.href);
    await window.page.getByRole("button", { name: "Sign in", exact: true }).click();
    await window.signIn("alice");
    await window.connected();
    expect(new URL(window.page.url()).hostname).toBe(name);
    await context.close();
  }
});

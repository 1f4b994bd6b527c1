import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Drafts } from "../src/drafts.ts";
import { SignIn } from "../src/signin.ts";

/** A window's storage: its keys are its own, as Object.keys finds them. */
function storage(): Storage {
  const methods = {
    getItem(this: Record<string, string>, key: string) { return Object.hasOwn(this, key) ? this[key]! : null; },
    setItem(this: Record<string, string>, key: string, value: string) { this[key] = value; },
    removeItem(this: Record<string, string>, key: string) { delete this[key]; },
  };
  return Object.create(methods) as Storage;
}

const config = { websocket: "wss://carrel.test/v1", issuer: "https://issuer.test", clientId: "page", scope: "openid" };

/** Somebody is signed in, in this window. */
function signedIn(name: string): void {
  sessionStorage.setItem("oidc.user:https://issuer.test:page", JSON.stringify({
    access_token: `token of ${name}`, token_type: "Bearer", expires_at: Math.floor(Date.now() / 1000) + 3600, profile: { sub: name },
  }));
}

beforeEach(() => {
  vi.stubGlobal("sessionStorage", storage());
  vi.stubGlobal("location", { origin: "https://carrel.test", search: "", hash: "" });
});
afterEach(() => void vi.unstubAllGlobals());

it("gives a page only its own person's tokens after another sign-in in its window", async () => {
  signedIn("alice");
  const alices = new SignIn(config);
  expect(await alices.finish()).toMatchObject({ id: "alice" });
  expect(await alices.token()).toBe("token of alice");
  signedIn("bob");
  await expect(alices.token()).rejects.toThrow("sign-in has expired");
  expect(alices.over).toBe(true);
  const bobs = new SignIn(config);
  await bobs.finish();
  expect(await bobs.token()).toBe("token of bob");
});

it("keeps drafts for their author, and removes them when another person signs in", () => {
  new Drafts("alice").put("t.1", "hers");
  expect(new Drafts("alice").get("t.1")).toBe("hers");
  // The keys of two users never coincide.
  const other = new Drafts("alice.t");
  expect(other.get("1")).toBe("");
  other.put("2", "other");
  expect(JSON.stringify(sessionStorage)).not.toContain("hers");
  new Drafts("alice");
  expect(JSON.stringify(sessionStorage)).not.toContain("other");
});

it("keeps the draft that a page stored when it was left, whatever the composer reports then", () => {
  const drafts = new Drafts("alice");
  let text = "", changed = (): void => {};
  const composer = {
    getState: () => ({ text }), setText: (to: string) => { text = to; changed(); },
    subscribe: (listener: () => void) => { changed = listener; return () => {}; },
  };
  drafts.bind("t.1", composer);
  composer.setText("question");
  expect(drafts.get("t.1")).toBe("question");
  composer.setText(""); // it was sent
  expect(drafts.get("t.1")).toBe("");
  drafts.put("t.1", "question"); // the page is left, and the message has no answer
  changed();
  expect(drafts.get("t.1")).toBe("question");
  const next = { ...composer, getState: () => ({ text }), setText: vi.fn() };
  drafts.bind("t.1", next);
  expect(next.setText).toHaveBeenCalledWith("question");
});

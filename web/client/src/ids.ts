import type { Message } from "./events.ts";

/** A UUID of version 7, which contains its creation time. */
export function timedId(now: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(now / 2 ** (8 * (5 - i))) % 256;
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The nth new message of a run, from 1. Its id is the run's with the number: no other message of the thread has it. */
export function userMessage(runId: string, n: number, content: string): Message {
  return { id: `${runId}.${n}`, role: "user", content };
}

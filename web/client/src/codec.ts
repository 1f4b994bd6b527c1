import { isBlank } from "./chars.ts";
import { MAX_FRAME } from "./protocol.ts";
import type { ClientFrame, Run } from "./client-frames.ts";
import type { ServerFrame } from "./server-frames.ts";

/** The limit of a response's payload, in bytes. */
const MAX_PAYLOAD = 8 * 1024;

/** The limits of one message's text, in bytes, and of the messages in a run. */
export interface Limits {
  readonly textBytes: number;
  readonly messages: number;
}

type Kind = "string" | "number" | "array";

/** The fields that a frame of each type must have before the client reads it. */
const REQUIRED: { readonly [T in Exclude<ServerFrame["type"], "">]: Readonly<Record<string, Kind>> } = {
  ready: { n: "number", threadId: "string", head: "number" },
  snapshot: { n: "number", threadId: "string", epoch: "string", seq: "number", messages: "array" },
  pong: {},
  events: { threadId: "string", epoch: "string", seq: "number", runId: "string", events: "array" },
  accepted: { state: "string" },
  rejected: { runId: "string", code: "string", message: "string" },
  ended: { runId: "string", threadId: "string" },
  thread: { threadId: "string", updated: "number" },
  threads: { threads: "array" },
  history: { threadId: "string", messages: "array" },
  done: {},
  runs: { runs: "array" },
  error: { code: "string", message: "string" },
  part: { id: "string", n: "number", of: "number", data: "string" },
};

/**
 * Decodes a server's frame. A frame without a type is `Untyped`. Returns undefined for an unknown type, which the caller
 * ignores. Throws if the text is not JSON or lacks a field that its type requires.
 */
export function decodeServer(text: string): ServerFrame | undefined {
  const frame: unknown = JSON.parse(text);
  if (typeof frame !== "object" || frame === null || Array.isArray(frame)) return undefined;
  const fields = frame as Record<string, unknown>;
  if (fields.type === undefined) return { type: "" };
  const wanted = typeof fields.type === "string" && Object.hasOwn(REQUIRED, fields.type)
    ? REQUIRED[fields.type as keyof typeof REQUIRED] : undefined;
  if (!wanted) return undefined;
  check(fields, wanted, String(fields.type));
  if (fields.type === "events" && fields.row !== undefined) check(Object(fields.row) as Record<string, unknown>, REQUIRED.thread, "events");
  return fields as unknown as ServerFrame;
}

/** Throws if an object of a frame lacks a required field. */
function check(fields: Readonly<Record<string, unknown>>, wanted: Readonly<Record<string, Kind>>, type: string): void {
  for (const [name, kind] of Object.entries(wanted)) {
    const value = fields[name];
    if (kind === "array" ? !Array.isArray(value) : typeof value !== kind) {
      throw new Error(`a ${type} frame of the server lacks ${name}`);
    }
  }
}

/** Encodes a client's frame; throws if the server could not take it. */
export function encodeClient(frame: ClientFrame): string {
  const text = JSON.stringify(frame);
  within(text, MAX_FRAME, "This message is too long to send");
  return text;
}

/** Throws an error with a message for the user if the server would refuse the content of a run. */
export function checkRun(run: Pick<Run, "messages" | "resume">, limits: Limits): void {
  if (run.messages.length > limits.messages) {
    throw new Error(`At most ${limits.messages} messages can be sent at once, and these are ${run.messages.length}. Send fewer.`);
  }
  for (const { content } of run.messages) {
    if (isBlank(content)) throw new Error("Write something first.");
    within(content, limits.textBytes, "This message is too long to send");
  }
  for (const { payload } of run.resume ?? []) {
    if (payload !== undefined && !isJson(payload)) throw new Error("This answer cannot be sent exactly: use texts, finite numbers, booleans, lists and plain objects.");
    if (payload !== undefined) within(JSON.stringify(payload), MAX_PAYLOAD, "This answer is too long to send");
  }
}

/** Whether JSON carries a value unchanged. */
function isJson(value: unknown): boolean {
  if (typeof value === "string") return !/\p{Surrogate}/u.test(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "boolean" || value === null) return true;
  if (Array.isArray(value)) return value.every(isJson);
  if (typeof value !== "object" || ![Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)) return false;
  return Object.entries(value).every(([name, held]) => isJson(name) && (held === undefined || isJson(held)));
}

function within(text: string, most: number, what: string): void {
  const { length } = new TextEncoder().encode(text);
  if (length <= most) return;
  throw new Error(`${what}: ${Math.ceil(length / 1024)} KB, and at most ${Math.floor(most / 1024)} KB are allowed. Shorten it.`);
}

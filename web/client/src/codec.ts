import { isBlank } from "./chars.ts";
import { MAX_FRAME } from "./frames.ts";
import type { ClientFrame, Run, ServerFrame } from "./frames.ts";

/** Of an answer, in bytes. */
const MAX_PAYLOAD = 8 * 1024;

/** What a client may send: of one message's text, in bytes, and of messages in a run. */
export interface Limits {
  readonly textBytes: number;
  readonly messages: number;
}

/** What each frame needs before the view may look at it. */
function required(type: string): Record<string, "string" | "number" | "array"> | undefined {
  switch (type) {
    case "ready": return { n: "number", threadId: "string", head: "number" };
    case "snapshot": return { n: "number", threadId: "string", epoch: "string", seq: "number", messages: "array" };
    case "pong": return {};
    case "events": return { threadId: "string", epoch: "string", seq: "number", runId: "string", events: "array" };
    case "accepted": return { state: "string" };
    case "rejected": return { runId: "string", code: "string", message: "string" };
    case "ended": return { runId: "string", threadId: "string" };
    case "thread": return { threadId: "string", updated: "number" };
    case "threads": return { threads: "array" };
    case "history": return { threadId: "string", messages: "array" };
    case "done": return {};
    case "runs": return { runs: "array" };
    case "error": return { code: "string", message: "string" };
    case "part": return { id: "string", n: "number", of: "number", data: "string" };
    default: return undefined;
  }
}

/**
 * Decodes a server's frame. A frame without a type is `Untyped`; what is no frame that this client knows is undefined
 * and is to be passed over. Throws if it is not JSON or lacks what its type requires.
 */
export function decodeServer(text: string): ServerFrame | undefined {
  const frame: unknown = JSON.parse(text);
  if (typeof frame !== "object" || frame === null || Array.isArray(frame)) return undefined;
  const fields = frame as Record<string, unknown>;
  if (fields.type === undefined) return { type: "" };
  const wanted = typeof fields.type === "string" ? required(fields.type) : undefined;
  if (!wanted) return undefined;
  for (const [name, kind] of Object.entries(wanted)) {
    const value = fields[name];
    if (kind === "array" ? !Array.isArray(value) : typeof value !== kind) {
      throw new Error(`a ${String(fields.type)} frame of the server lacks ${name}`);
    }
  }
  return fields as unknown as ServerFrame;
}

/** Encodes a client's frame; throws if the server could not take it. */
export function encodeClient(frame: ClientFrame): string {
  const text = JSON.stringify(frame);
  within(text, MAX_FRAME, "This message is too long to send");
  return text;
}

/** Throws if the server would refuse a run for what it brings, in words for a person. */
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

/** Whether a value arrives as it is: JSON would change or drop what is anything else. */
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

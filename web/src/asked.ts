import { visibleLine, visibleText } from "../client/src/visible.ts";
import type { Interrupt, Resume } from "carrel-client";

/** One field of the answer that a tool asks for. */
export interface Field {
  /** The property; empty if the whole answer is this one value. */
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly kind: "text" | "number" | "integer" | "choice" | "json";
  /** What may be chosen: how it is shown, and what it stands for. */
  readonly choices: readonly (readonly [shown: string, value: unknown])[];
  readonly required: boolean;
  /** Of a text, in characters. */
  readonly longest?: number;
}

export { visibleLine, visibleText as plainly };

type Schema = Readonly<Record<string, unknown>>;

/** What a tool that asks may say of itself. */
export interface Asked {
  readonly tool?: string;
  readonly args?: string;
}

export function askedOf({ metadata }: Interrupt): Asked {
  const { tool, arguments: args } = record(metadata?.carrel);
  return {
    ...(typeof tool === "string" && { tool: visibleLine(tool) }),
    ...(args !== undefined && { args: visibleText(typeof args === "string" ? args : JSON.stringify(args, undefined, 2)) }),
  };
}

/** Whether the answer is a yes or a no, and not something to write. */
export function isDecision({ reason }: Interrupt): boolean {
  return reason !== "input_required";
}

/** The fields of a schema: one for each plain property, or one for all if it is no plain object. */
export function fieldsOf(schema: unknown): readonly Field[] {
  const { type, properties, required } = record(schema);
  const named = Object.entries(record(properties));
  if (type !== "object" || named.length === 0) return [field("", schema, true)];
  const needed = Array.isArray(required) ? required : [];
  const fields = named.map(([name, property]) => field(name, property, needed.includes(name)));
  return fields.some(({ kind }) => kind === "json") ? [field("", schema, true)] : fields;
}

/** The answer's payload, from what was written by field name. Throws with what is wrong, as a sentence for a person. */
export function payloadOf(fields: readonly Field[], written: ReadonlyMap<string, string>): unknown {
  const values = fields.map((one) => [one.name, value(one, written.get(one.name) ?? "")] as const);
  if (fields.length === 1 && fields[0]!.name === "") return values[0]![1];
  return Object.fromEntries(values.filter(([, given]) => given !== undefined));
}

/** The answers of somebody who refuses all of it. */
export function refusals(interrupts: readonly Interrupt[]): Resume[] {
  return interrupts.map(({ id }) => ({ interruptId: id, status: "cancelled" }));
}

function field(name: string, schema: unknown, required: boolean): Field {
  const { type, title, description, enum: choices, maxLength } = record(schema);
  const base = {
    name, required, choices: [], label: visibleLine(typeof title === "string" ? title : name || "Answer"),
    ...(typeof description === "string" && { hint: visibleText(description) }), ...(typeof maxLength === "number" && { longest: maxLength }),
  };
  if (Array.isArray(choices) && choices.every((one) => ["string", "number", "boolean"].includes(typeof one))) {
    return { ...base, kind: "choice", choices: choices.map((one) => [visibleLine(String(one)), one]) };
  }
  if (type === "number" || type === "integer") return { ...base, kind: type };
  if (type === "boolean") return { ...base, kind: "choice", choices: [["yes", true], ["no", false]] };
  return { ...base, kind: type === undefined || type === "string" ? "text" : "json" };
}

function value({ kind, label, required, choices, longest = Infinity }: Field, text: string): unknown {
  if (text.trim() === "") {
    if (required) throw new Error(`Fill in “${label}”.`);
    return undefined;
  }
  switch (kind) {
    case "text":
      if ([...text].length > longest) throw new Error(`“${label}” may have ${longest} characters, and has ${[...text].length}.`);
      return text;
    case "choice": return choices.find(([shown]) => shown === text)?.[1];
    case "json": return json(label, text);
    case "integer":
      // A larger one would be sent as another.
      if (!Number.isSafeInteger(Number(text))) throw new Error(`“${label}” must be a whole number.`);
      return Number(text);
    case "number":
      if (!Number.isFinite(Number(text))) throw new Error(`“${label}” must be a number.`);
      return Number(text);
  }
}

function json(label: string, text: string): unknown {
  try {
    const given = JSON.parse(text) as unknown;
    if (given !== null) return given;
  } catch {
    throw new Error(`“${label}” must be JSON.`);
  }
  throw new Error(`“${label}” must not be null. To give no answer, refuse.`);
}

function record(of: unknown): Schema {
  return typeof of === "object" && of !== null && !Array.isArray(of) ? of as Schema : {};
}

import { isBlank } from "../client/src/chars.ts";
import { approve, refuse } from "../client/src/interrupts.ts";
import { textKey, visibleLine, visibleText } from "../client/src/visible.ts";
import type { Interrupt, Resume } from "carrel-client";

/** One field of the response that a tool requests. */
export interface Field {
  /** The property; empty if the whole response is this one value. */
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly kind: "text" | "number" | "integer" | "choice" | "json";
  /** The choices: the shown text and the value of each. */
  readonly choices: readonly (readonly [shown: string, value: unknown])[];
  readonly required: boolean;
  /** The limits of a text, in characters. */
  readonly longest?: number;
}

export { approve, refuse, textKey, visibleLine, visibleText as plainly };

type Schema = Readonly<Record<string, unknown>>;

/** The metadata of an interrupt. */
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

/** Whether the response is a yes or a no, without a form. */
export function isDecision({ reason }: Interrupt): boolean {
  return reason !== "input_required";
}

/** The schema of the arguments that a person may edit; undefined if none may be edited. */
export function argumentsOf({ reason, responseSchema }: Interrupt): unknown {
  const { arguments: schema } = record(record(responseSchema).properties);
  return reason === "tool_call" && Object.keys(record(record(schema).properties)).length > 0 ? schema : undefined;
}

/** A form for the arguments of a call, filled in with the model's arguments. */
export function editorOf(asked: Interrupt): Editor {
  const { arguments: args } = record(asked.metadata?.carrel);
  const text = typeof args === "string" ? args : "{}";
  const whole: Editor = { fields: [{ ...field("", {}, true), kind: "json", label: "Arguments" }], written: new Map([["", text]]) };
  try {
    const given = record(json("Arguments", text));
    const fields = fieldsOf(argumentsOf(asked));
    const written = new Map(fields.filter(({ name }) => given[name] !== undefined).map((one) => [one.name, entry(one, given[one.name])]));
    // A form that cannot return the same arguments would change values that the person did not edit.
    const same = JSON.stringify(sorted(payloadOf(fields, written))) === JSON.stringify(sorted(given));
    return same && fields[0]!.name !== "" && visibleText(text) === text && !/\\u/.test(text) ? { fields, written } : whole;
  } catch {
    return whole;
  }
}

/** The response that approves a call with the arguments that a person entered. */
export function approvalOf(asked: Interrupt, entered: unknown): Resume {
  if (typeof entered !== "object" || entered === null || Array.isArray(entered)) throw new Error("The arguments must be a JSON object, in braces.");
  return approve(asked, entered as Record<string, unknown>);
}

/** Fields with their initial values. */
export interface Editor {
  readonly fields: readonly Field[];
  readonly written: ReadonlyMap<string, string>;
}

/** A value as a person would type it into a field. */
function entry({ kind, choices }: Field, given: unknown): string {
  if (kind === "choice") return choices.find(([, value]) => value === given)?.[0] ?? "";
  return String(given);
}

/** A value with its keys in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, held]) => [name, sorted(held)]);
}

/** The fields of a schema: one for each plain property, or a single field if the schema is not a plain object. */
export function fieldsOf(schema: unknown): readonly Field[] {
  const { type, properties, required } = record(schema);
  const named = Object.entries(record(properties));
  if (type !== "object" || named.length === 0) return [field("", schema, true)];
  const needed = Array.isArray(required) ? required : [];
  const fields = named.map(([name, property]) => field(name, property, needed.includes(name)));
  return fields.some(({ kind, name }) => kind === "json" || name === "") ? [field("", schema, true)] : fields;
}

/**
 * Makes the response's payload from the text of each field. A value that would not arrive exactly as entered throws an error
 * with a sentence for the person. An empty field is left out.
 */
export function payloadOf(fields: readonly Field[], written: ReadonlyMap<string, string>): unknown {
  const values = fields.map((one) => [one.name, value(one, written.get(one.name) ?? "")] as const);
  if (fields.length === 1 && fields[0]!.name === "") return values[0]![1];
  return Object.fromEntries(values.filter(([, given]) => given !== undefined));
}

/** The responses that refuse every interrupt. */
export function refusals(interrupts: readonly Interrupt[]): Resume[] {
  return interrupts.map(refuse);
}

function field(name: string, schema: unknown, required: boolean): Field {
  const { type, title, description, enum: choices, maxLength } = record(schema);
  const base = {
    name, required, choices: [], label: visibleLine(typeof title === "string" ? title : name || "Answer"),
    ...(typeof description === "string" && { hint: visibleText(description) }), ...(typeof maxLength === "number" && { longest: maxLength }),
  };
  if (Array.isArray(choices) && choices.every((one) => ["string", "number", "boolean"].includes(typeof one))) {
    return { ...base, kind: "choice", choices: told(choices) };
  }
  if (type === "number" || type === "integer") return { ...base, kind: type };
  if (type === "boolean") return { ...base, kind: "choice", choices: [["yes", true], ["no", false]] };
  const open = type === undefined && !["anyOf", "oneOf", "allOf", "not", "const", "enum", "$ref"].some((word) => word in record(schema));
  return { ...base, kind: open || type === "string" ? "text" : "json" };
}

/** The shown texts of the choices: no two look the same, and none is empty. */
function told(choices: readonly unknown[]): (readonly [string, unknown])[] {
  const seen = new Set<string>();
  return choices.map((value) => {
    const plain = visibleLine(String(value));
    const quoted = visibleLine(JSON.stringify(value));
    let shown = plain === "" || choices.some((other) => other !== value && textKey(visibleLine(String(other))) === textKey(plain)) ? quoted : plain;
    for (let n = 2; seen.has(textKey(shown)); n++) shown = `${quoted} (${n})`;
    seen.add(textKey(shown));
    return [shown, value] as const;
  });
}

function value({ kind, label, required, choices, longest = Infinity }: Field, text: string): unknown {
  if (text === "" || (isBlank(text) && (required || kind !== "text"))) {
    if (required) throw new Error(`Fill in “${label}”.`);
    return undefined;
  }
  switch (kind) {
    case "text":
      if (isBlank(text)) throw new Error(`“${label}” has only spaces. Write something, or empty it.`);
      if (/\p{Surrogate}/u.test(text)) throw new Error(`“${label}” has half of a character. Write it anew.`);
      if ([...text].length > longest) throw new Error(`“${label}” may have ${longest} characters, and has ${[...text].length}.`);
      return text;
    case "choice": {
      const chosen = choices.find(([shown]) => shown === text);
      if (!chosen) throw new Error(`Choose “${label}”.`);
      return chosen[1];
    }
    case "json": return json(label, text);
    case "integer":
      if (!Number.isInteger(number(text))) throw new Error(`“${label}” must be a whole number.`);
      if (!Number.isSafeInteger(number(text))) throw new Error(`“${label}” must be a whole number. This one is too long to be sent exactly.`);
      return exactly(label, text);
    case "number":
      if (!Number.isFinite(number(text))) throw new Error(`“${label}” must be a number.`);
      return exactly(label, text);
  }
}

/** Parses a number in JSON's syntax, without white space. NaN for anything else, such as 007, 0x10 and 1,5. */
const NUMBER = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

function number(text: string): number {
  return NUMBER.test(text.trim()) ? Number(text) : NaN;
}

/** The number in the text, or an error if it would arrive as another number. */
function exactly(label: string, text: string): number {
  const given = Number(text);
  if (decimal(text.trim()) !== decimal(String(given))) throw new Error(`“${label}” has more digits than can be sent exactly.`);
  return given;
}

/** The value of a number as text: its significant digits and its exponent. */
function decimal(text: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = NUMBER.exec(text) ?? [];
  const all = (whole + fraction).replace(/^0+/, "");
  const digits = all.replace(/0+$/, "");
  return digits === "" ? "0" : `${sign}${digits}e${Number(exponent) - fraction.length + all.length - digits.length}`;
}

function json(label: string, text: string): unknown {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new Error(`“${label}” must be JSON.`);
  }
  if (given === null) throw new Error(`“${label}” must not be null. To give no answer, refuse.`);
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  for (const [one] of bare.matchAll(/-?\d[\d.eE+-]*/g)) exactly(label, one);
  if ((bare.match(/:/g) ?? []).length !== members(given)) throw new Error(`“${label}” has a key twice.`);
  return given;
}

/** How many keys a value has, inner ones too. */
function members(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const held = Object.values(value);
  return (Array.isArray(value) ? 0 : held.length) + held.reduce<number>((sum, one) => sum + members(one), 0);
}

function record(of: unknown): Schema {
  return typeof of === "object" && of !== null && !Array.isArray(of) ? of as Schema : {};
}

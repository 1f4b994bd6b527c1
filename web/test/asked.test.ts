import { describe, expect, it } from "vitest";
import { approvalOf, argumentsOf, askedOf, editorOf, fieldsOf, isDecision, payloadOf, refusals } from "../src/asked.ts";

const written = (of: Record<string, string>): ReadonlyMap<string, string> => new Map(Object.entries(of));

describe("an interrupt", () => {
  it("is named with its tool and arguments, whatever form they have", () => {
    const of = (carrel: unknown) => askedOf({ id: "i", reason: "tool_call", metadata: { carrel } });
    expect(of({ tool: "notes_delete", arguments: { id: 3 } })).toEqual({ tool: "notes_delete", args: '{\n  "id": 3\n}' });
    expect(of({ tool: "x", arguments: "{}" })).toEqual({ tool: "x", args: "{}" });
    for (const odd of [undefined, null, "text", [1], { tool: 7 }]) expect(of(odd)).toEqual({});
  });

  it("spells out characters that would deceive the person", () => {
    const carrel = { tool: "notes\u202e_clear", arguments: '{"to":"alice\u202emoc.live","code":"a\u200bb\u{e0041}"}' };
    expect(askedOf({ id: "i", reason: "tool_call", metadata: { carrel } })).toEqual({
      tool: "notes[U+202E]_clear", args: '{"to":"alice[U+202E]moc.live","code":"a[U+200B]b[U+E0041]"}',
    });
  });

  it("is a decision if it needs no form", () => {
    expect(isDecision({ id: "i", reason: "tool_call" })).toBe(true);
    expect(isDecision({ id: "i", reason: "confirmation" })).toBe(true);
    expect(isDecision({ id: "i", reason: "input_required" })).toBe(false);
  });

  it("is refused as a whole", () => {
    expect(refusals([{ id: "a", reason: "tool_call" }, { id: "b", reason: "input_required" }]))
      .toEqual([{ interruptId: "a", status: "cancelled" }, { interruptId: "b", status: "cancelled" }]);
  });
});

describe("a form", () => {
  it("has a field for each plain property", () => {
    const fields = fieldsOf({
      type: "object", required: ["city"],
      properties: {
        city: { type: "string", title: "City", description: "Where to?" }, nights: { type: "integer" }, pets: { type: "boolean" },
        room: { enum: ["single", "double"] },
      },
    });
    expect(fields.map(({ name, kind, required }) => [name, kind, required])).toEqual([
      ["city", "text", true], ["nights", "integer", false], ["pets", "choice", false], ["room", "choice", false],
    ]);
    expect(payloadOf(fields, written({ city: "Bern", nights: "2", pets: "no", room: "double" })))
      .toEqual({ city: "Bern", nights: 2, pets: false, room: "double" });
    expect(payloadOf(fields, written({ city: "Bern" }))).toEqual({ city: "Bern" });
    expect(() => payloadOf(fields, written({ city: " " }))).toThrow("Fill in “City”.");
    for (const nights of ["two", "1.5", "12345678901234567890"]) {
      expect(() => payloadOf(fields, written({ city: "Bern", nights }))).toThrow("“nights” must be a whole number.");
    }
  });

  it("offers choices that are not texts, and sends their values", () => {
    const fields = fieldsOf({ type: "object", properties: { beds: { type: "integer", enum: [1, 2] }, late: { type: "boolean" } } });
    expect(fields.map(({ choices }) => choices.map(([shown]) => shown))).toEqual([["1", "2"], ["yes", "no"]]);
    expect(payloadOf(fields, written({ beds: "2", late: "no" }))).toEqual({ beds: 2, late: false });
  });

  it("says how long a text may be", () => {
    const fields = fieldsOf({ title: "Answer", type: "string", minLength: 1, maxLength: 3 });
    expect(payloadOf(fields, written({ "": "🎈🎈🎈" }))).toBe("🎈🎈🎈");
    expect(() => payloadOf(fields, written({ "": "four" }))).toThrow("“Answer” may have 3 characters, and has 4.");
  });

  it("is one field for everything else", () => {
    for (const schema of [undefined, null, { type: "string" }, { type: "object" }, "odd"]) {
      const fields = fieldsOf(schema);
      expect(fields).toHaveLength(1);
      if (fields[0]!.kind === "text") expect(payloadOf(fields, written({ "": "Bern" }))).toBe("Bern");
    }
    const nested = fieldsOf({ type: "object", properties: { list: { type: "array" } } });
    expect(nested).toMatchObject([{ name: "", kind: "json" }]);
    expect(payloadOf(nested, written({ "": '{"list":[1]}' }))).toEqual({ list: [1] });
    expect(() => payloadOf(nested, written({ "": "{" }))).toThrow("“Answer” must be JSON.");
    expect(() => payloadOf(nested, written({ "": " null" }))).toThrow("must not be null");
    expect(payloadOf(fieldsOf({ type: "number" }), written({ "": "1.5" }))).toBe(1.5);
  });
});

describe("a value arrives as entered, or is refused", () => {
  const one = (schema: unknown, text: string): unknown => payloadOf(fieldsOf(schema), written({ "": text }));

  it.each([
    ["0", 0], ["-7", -7], ["1.50", 1.5], ["1e3", 1000], [" 12 ", 12], ["0.1", 0.1], ["1e-7", 1e-7], ["123456789012345680000", 123456789012345680000],
  ])("the number %s", (text, value) => expect(one({ type: "number" }, text)).toBe(value));

  it.each([["007"], ["+5"], [".5"], ["5."], ["0x10"], ["1,5"], ["Infinity"], ["1e999"], ["1 000"], ["٣"]])("no number: %s", (text) => {
    expect(() => one({ type: "number" }, text)).toThrow("“Answer” must be a number.");
  });

  it.each([["0.1000000000000000055"], ["12345678901234567890"], ["1e-400"], ["9007199254740993"]])("a number that would arrive as another: %s", (text) => {
    expect(() => one({ type: "number" }, text)).toThrow("“Answer” has more digits than can be sent exactly.");
    expect(() => one({ type: "array" }, `[{"a":${text}}]`)).toThrow("“Answer” has more digits than can be sent exactly.");
  });

  it("a whole number", () => {
    for (const [text, value] of [["10", 10], ["1e2", 100], ["2.0", 2], ["9007199254740991", 9007199254740991]] as const) expect(one({ type: "integer" }, text)).toBe(value);
    for (const text of ["010", "1.5", "9007199254740993", "ten"]) expect(() => one({ type: "integer" }, text)).toThrow("“Answer” must be a whole number.");
  });

  it("a text, with its spaces and lines", () => {
    for (const text of [" a ", "007", "two\nlines", "null"]) expect(one({ type: "string" }, text)).toBe(text);
    expect(() => one({ type: "string" }, "a\ud83d")).toThrow("half of a character");
    const optional = fieldsOf({ type: "object", properties: { note: { type: "string" } } });
    expect(payloadOf(optional, written({ note: "" }))).toEqual({});
    expect(() => payloadOf(optional, written({ note: "  " }))).toThrow("“note” has only spaces.");
  });

  it("a choice among texts that look the same", () => {
    const fields = fieldsOf({ type: "object", properties: { of: { enum: ["1", 1, "", true, "true", "Zoë", "Zoe\u0308", "a\u200b", "a"] } } });
    const shown = fields[0]!.choices.map(([text]) => text);
    expect(shown).toEqual(['"1"', "1", '""', "true", '"true"', '"Zoë"', '"Zoe\u0308" (2)', "a[U+200B]", "a"]);
    expect(shown.map((text) => payloadOf(fields, written({ of: text })))).toEqual(["1", 1, "", true, "true", "Zoë", "Zoe\u0308", "a\u200b", "a"].map((of) => ({ of })));
    expect(() => payloadOf(fields, written({ of: "gone" }))).toThrow("Choose “of”.");
  });

  it("JSON with each key once, for schemas of several types", () => {
    expect(one({ anyOf: [{ type: "number" }, { type: "null" }] }, "5")).toBe(5);
    expect(one({ type: "array" }, '{"a:b":"1:2","__proto__":[{}]}')).toEqual(JSON.parse('{"a:b":"1:2","__proto__":[{}]}'));
    expect(() => one({ type: "array" }, '{"a":1,"b":{"c":1,"c":2}}')).toThrow("“Answer” has a key twice.");
  });
});

describe("changed arguments", () => {
  const asks = (args: unknown, properties: object, reason = "tool_call") => ({
    id: "i", reason, metadata: { carrel: { tool: "t", arguments: args } },
    responseSchema: { type: "object", properties: { approved: { type: "boolean" }, arguments: { type: "object", properties, required: ["to"] } } },
  });
  const text = { to: { type: "string" }, days: { type: "integer" }, room: { enum: ["single", 2] } };

  it("begin with those of the model, in a form", () => {
    const { fields, written: at } = editorOf(asks('{"to": "Bern", "days": 3, "room": 2}', text));
    expect(fields.map(({ name }) => [name, at.get(name)])).toEqual([["to", "Bern"], ["days", "3"], ["room", "2"]]);
    expect(approvalOf(asks("{}", text), payloadOf(fields, new Map(at).set("days", "4"))))
      .toEqual({ interruptId: "i", status: "resolved", payload: { approved: true, arguments: { to: "Bern", days: 4, room: 2 } } });
  });

  it.each([
    ["a list", '{"to":["Bern"]}', { to: { type: "array" } }], ["an empty text", '{"to":""}', text], ["null", '{"to":"Bern","days":null}', text],
    ["a field that is none", '{"to":"Bern","x":1}', text], ["a long number", '{"to":"Bern","days":12345678901234567890}', text],
    ["something hidden", '{"to":"a\\u200bb"}', text], ["no JSON", "{", text],
  ])("are JSON if a form would change them: %s", (_, args, properties) => {
    const { fields, written: at } = editorOf(asks(args, properties));
    expect(fields).toMatchObject([{ name: "", kind: "json", label: "Arguments" }]);
    expect(at.get("")).toBe(args);
  });

  it("are offered where there is something to change", () => {
    expect(argumentsOf(asks("{}", text))).toBeDefined();
    expect(argumentsOf(asks("{}", {}))).toBeUndefined();
    expect(argumentsOf(asks("{}", text, "input_required"))).toBeUndefined();
    expect(argumentsOf({ id: "i", reason: "tool_call" })).toBeUndefined();
    expect(() => approvalOf(asks("{}", text), [1])).toThrow("must be a JSON object");
  });
});

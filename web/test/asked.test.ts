import { describe, expect, it } from "vitest";
import { askedOf, fieldsOf, isDecision, payloadOf, refusals } from "../src/asked.ts";

const written = (of: Record<string, string>): ReadonlyMap<string, string> => new Map(Object.entries(of));

describe("what is asked", () => {
  it("is named with its tool and arguments, whatever form they have", () => {
    const of = (carrel: unknown) => askedOf({ id: "i", reason: "tool_call", metadata: { carrel } });
    expect(of({ tool: "notes_delete", arguments: { id: 3 } })).toEqual({ tool: "notes_delete", args: '{\n  "id": 3\n}' });
    expect(of({ tool: "x", arguments: "{}" })).toEqual({ tool: "x", args: "{}" });
    for (const odd of [undefined, null, "text", [1], { tool: 7 }]) expect(of(odd)).toEqual({});
  });

  it("spells out what would deceive who decides", () => {
    const carrel = { tool: "notes\u202e_clear", arguments: '{"to":"alice\u202emoc.live","code":"a\u200bb\u{e0041}"}' };
    expect(askedOf({ id: "i", reason: "tool_call", metadata: { carrel } })).toEqual({
      tool: "notes[U+202E]_clear", args: '{"to":"alice[U+202E]moc.live","code":"a[U+200B]b[U+E0041]"}',
    });
  });

  it("is a decision if nothing is to be written", () => {
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

  it("offers choices that are no texts, and sends what they stand for", () => {
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

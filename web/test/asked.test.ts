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
      ["city", "text", true], ["nights", "number", false], ["pets", "yes-no", false], ["room", "choice", false],
    ]);
    expect(payloadOf(fields, written({ city: "Bern", nights: "2", pets: "no", room: "double" })))
      .toEqual({ city: "Bern", nights: 2, pets: false, room: "double" });
    expect(payloadOf(fields, written({ city: "Bern" }))).toEqual({ city: "Bern" });
    expect(() => payloadOf(fields, written({ city: " " }))).toThrow("Fill in “City”.");
    expect(() => payloadOf(fields, written({ city: "Bern", nights: "two" }))).toThrow("“nights” must be a number.");
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
    expect(payloadOf(fieldsOf({ type: "number" }), written({ "": "1.5" }))).toBe(1.5);
  });
});

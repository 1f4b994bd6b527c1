import { expect, it } from "vitest";
import { setup } from "./setup.ts";

const test = setup({ viewport: { width: 1440, height: 800 } });

/** Where to keep pictures of the page, if anywhere. */
const pictures = process.env.PICTURES;

it("shows how far a call is, why a run waits, and whose tools are missing", async () => {
  let report: (events: readonly object[]) => void = () => {};
  await test.context.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => socket.send(text));
    socket.onMessage((text) => {
      const { type, runId, threadId } = JSON.parse(String(text)) as { type: string; runId: string; threadId: string };
      if (type !== "run") return server.send(text);
      let seq = 1;
      report = (events) => {
        socket.send(JSON.stringify({ type: "events", threadId, epoch: "e1", seq, runId, events }));
        seq += events.length;
      };
      socket.send(JSON.stringify({ type: "accepted", requestId: `run.${runId}`, runId, threadId, state: "running" }));
      report([{ type: "RUN_STARTED", threadId, runId, input: { threadId, runId, messages: [{ id: "u", role: "user", content: "Import everything" }] } }, custom("waiting", { why: "thinking" })]);
    });
  });
  const alice = await test.open();
  const { page } = alice;
  const seen = async (name: string): Promise<void> => {
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 800 });
      await alice.fit();
      if (pictures) await page.screenshot({ path: `${pictures}/${name}-${width}.png` });
    }
  };
  await alice.send("Import everything");
  await page.getByText("The model is thinking.").waitFor();
  await seen("waiting");
  report([
    custom("source", { server: "mail", state: "down" }), custom("source", { server: "wi\u202eki", state: "late" }),
    ...["c1", "c2"].flatMap((toolCallId) => [
      { type: "TOOL_CALL_START", toolCallId, toolCallName: toolCallId === "c1" ? "import" : "scan", parentMessageId: "a" }, { type: "TOOL_CALL_ARGS", toolCallId, delta: "{}" }, { type: "TOOL_CALL_END", toolCallId },
    ]),
    custom("progress", { toolCallId: "c1", done: 1, total: 4, message: "reading\u202e the first file" }), custom("progress", { toolCallId: "c2", done: 1234 }),
  ]);
  const bar = page.getByRole("progressbar", { name: "Progress of import" });
  await bar.waitFor();
  expect(await bar.getAttribute("value")).toBe("0.25");
  const call = page.getByRole("group", { name: "Tool call import" });
  await call.getByText("25 %").waitFor();
  await call.getByText("reading[U+202E] the first file").waitFor();
  expect(await page.getByRole("progressbar", { name: "Progress of scan" }).getAttribute("value")).toBeNull();
  await page.getByText("The tools of mail are missing from this answer: the server cannot be reached.").waitFor();
  await page.getByText("The tools of wi[U+202E]ki are missing from this answer: the server did not answer in time.").waitFor();
  await seen("progress");
  report([custom("progress", { toolCallId: "c1", done: 9, total: 4 })]);
  await call.getByText("100 %").waitFor();
  report([{ type: "TOOL_CALL_RESULT", toolCallId: "c1", messageId: "m1", role: "tool", content: "Imported." }]);
  await call.getByText("Imported.").waitFor();
  await bar.waitFor({ state: "detached" });
  report([{ type: "RUN_ERROR", code: "internal", message: "It failed." }]);
  await page.getByRole("progressbar").waitFor({ state: "detached" });
  expect(await page.getByText("The tools of mail").count()).toBe(1);
});

function custom(name: string, value: object): object {
  return { type: "CUSTOM", name: `carrel.${name}`, value };
}

import { CopilotKitCore } from "@copilotkit/core";
import { CarrelClient } from "carrel-client";
import { CarrelAgent } from "carrel-client/agui";
import { afterEach, expect, it } from "vitest";
import WebSocket from "ws";
import { stack } from "../../e2e/windows.ts";

/** What CopilotKit's core asks of an agent. Its type is the one of its own, older copy of @ag-ui/client. */
type Agent = NonNullable<ConstructorParameters<typeof CopilotKitCore>[0]["agents__unsafe_dev_only"]>[string];

let client: CarrelClient | undefined;
afterEach(() => client?.close());

/** CopilotKit's core with a CarrelAgent, without a page, as a new user. */
function connect(): { agent: CarrelAgent; send: (content: string, options?: object) => Promise<void>; run: (options: object) => Promise<void>; last: () => unknown } {
  const user = `copilotkit-${crypto.randomUUID()}`;
  const { websocket, token } = stack();
  client = new CarrelClient({
    url: websocket,
    token: async () => (await (await fetch(token, { method: "POST", body: new URLSearchParams({ user }) })).json() as { access_token: string }).access_token,
    // Node 20 has no WebSocket.
    socket: (url, protocols) => Object.assign(new WebSocket(url, protocols), { onerror: () => {} }) as never,
  });
  client.connect();
  const agent = new CarrelAgent({ client, threadId: `t-${crypto.randomUUID()}` });
  const copilotkit = new CopilotKitCore({ agents__unsafe_dev_only: { default: agent as unknown as Agent } });
  let n = 0;
  const run = async (options: object): Promise<void> => {
    await copilotkit.runAgent({ agent: agent as unknown as Agent, ...options });
  };
  const send = async (content: string, options = {}): Promise<void> => {
    agent.addMessage({ id: `stock ${++n}`, role: "user", content });
    await run(options);
  };
  return { agent, send, run, last: () => agent.messages.at(-1)?.content };
}

it("CopilotKit's core is refused a tool call, and the next message goes on", async () => {
  const { agent, send, run, last } = connect();
  await send("note: buy milk");
  expect(last()).toMatch(/Saved/);
  await send("delete all notes");
  const [asked] = agent.pendingInterrupts;
  expect(asked?.reason).toBe("tool_call");
  await run({ resume: [{ interruptId: asked!.id, status: "resolved", payload: { approved: false } }] });
  expect(agent.pendingInterrupts).toEqual([]);
  await send("what are my notes?");
  expect(last()).toMatch(/buy milk/i);
});

it("CopilotKit's core resumes under the id of the run that asked", async () => {
  const { agent, send, run, last } = connect();
  await send("note: buy milk");
  await send("delete all notes", { runId: "the-run-that-asks" });
  await run({ runId: "the-run-that-asks", resume: [{ interruptId: agent.pendingInterrupts[0]!.id, status: "resolved", payload: { approved: true } }] });
  expect(agent.pendingInterrupts).toEqual([]);
  await send("what are my notes?");
  expect(last()).not.toMatch(/buy milk/i);
});

it("a message of CopilotKit's core refuses an open question", async () => {
  const { agent, send, last } = connect();
  await send("note: buy bread");
  await send("delete all notes");
  expect(agent.pendingInterrupts).toHaveLength(1);
  // CopilotKit's chat sends the next message with cancelled responses, or without responses.
  await send("what are my notes?", { resume: agent.pendingInterrupts.map(({ id }) => ({ interruptId: id, status: "cancelled" })) });
  expect(last()).toMatch(/buy bread/i);
});

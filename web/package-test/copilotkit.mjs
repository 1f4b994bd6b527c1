/** run.mjs copies this program into the folder of the installed packages and runs it there. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CopilotKitCore } from "@copilotkit/core";
import { CarrelClient, RefusedError } from "carrel-client";
import { CarrelAgent } from "carrel-client/agui";
import WebSocket from "ws";

assert.equal(typeof RefusedError, "function");
assert.equal(typeof CarrelAgent, "function");
if (process.env.ENDPOINTS) await drive(JSON.parse(readFileSync(process.env.ENDPOINTS, "utf8")));
else console.log("imported every export");

async function drive(endpoints) {
  const user = `copilotkit-${process.pid}-${Date.now()}`;
  const client = new CarrelClient({
    url: endpoints.websocket,
    token: async () => (await (await fetch(endpoints.token, { method: "POST", body: new URLSearchParams({ user }) })).json()).access_token,
    socket: (url, protocols) => Object.assign(new WebSocket(url, protocols), { onerror: () => {} }),
  });
  const agent = new CarrelAgent({ client, threadId: `t-${Date.now()}` });
  const copilotkit = new CopilotKitCore({ agents__unsafe_dev_only: { default: agent } });
  client.connect();
  const last = () => agent.messages.at(-1)?.content;
  let n = 0;
  const send = async (content, options = {}) => {
    agent.addMessage({ id: `stock ${++n}`, role: "user", content });
    return await copilotkit.runAgent({ agent, ...options });
  };
  try {
    await send("note: buy milk");
    assert.match(last(), /Saved/);

    await send("delete all notes");
    const [refused] = agent.pendingInterrupts;
    assert.equal(refused?.reason, "tool_call");
    await copilotkit.runAgent({ agent, resume: [{ interruptId: refused.id, status: "resolved", payload: { approved: false } }] });
    assert.equal(agent.pendingInterrupts.length, 0);
    await send("what are my notes?");
    assert.match(last(), /buy milk/i, "the refused call was executed");

    await send("delete all notes", { runId: "the-run-that-asks" });
    const [approved] = agent.pendingInterrupts;
    // CopilotKit resumes with the id of the interrupted run.
    await copilotkit.runAgent({ agent, runId: "the-run-that-asks", resume: [{ interruptId: approved.id, status: "resolved", payload: { approved: true } }] });
    assert.equal(agent.pendingInterrupts.length, 0);
    await send("what are my notes?");
    assert.doesNotMatch(last(), /buy milk/i, "the approved call was not executed");

    await send("note: buy bread");
    await send("delete all notes");
    assert.equal(agent.pendingInterrupts.length, 1);
    // CopilotKit's chat sends the next message with cancelled responses, or without responses.
    await send("what are my notes?", { resume: agent.pendingInterrupts.map(({ id }) => ({ interruptId: id, status: "cancelled" })) });
    assert.match(last(), /buy bread/i, "the new message did not refuse the open interrupt");
    console.log("CopilotKit asked, approved, refused and went on");
  } finally {
    client.close();
  }
}

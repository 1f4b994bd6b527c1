/** Runs in the folder where run.mjs has installed the packages. */
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
  const say = async (content, how = {}) => {
    agent.addMessage({ id: `stock ${++n}`, role: "user", content });
    return await copilotkit.runAgent({ agent, ...how });
  };
  try {
    await say("note: buy milk");
    assert.match(last(), /Saved/);

    await say("delete all notes");
    const [refused] = agent.pendingInterrupts;
    assert.equal(refused?.reason, "tool_call");
    await copilotkit.runAgent({ agent, resume: [{ interruptId: refused.id, status: "resolved", payload: { approved: false } }] });
    assert.equal(agent.pendingInterrupts.length, 0);
    await say("what are my notes?");
    assert.match(last(), /buy milk/i, "a refused call was not made");

    await say("delete all notes", { runId: "the-run-that-asks" });
    const [approved] = agent.pendingInterrupts;
    // CopilotKit resumes under the id of the run that asked.
    await copilotkit.runAgent({ agent, runId: "the-run-that-asks", resume: [{ interruptId: approved.id, status: "resolved", payload: { approved: true } }] });
    assert.equal(agent.pendingInterrupts.length, 0);
    await say("what are my notes?");
    assert.doesNotMatch(last(), /buy milk/i, "an approved call was made");

    await say("note: buy bread");
    await say("delete all notes");
    assert.equal(agent.pendingInterrupts.length, 1);
    // CopilotKit's chat goes on with a cancelled resume or with the message alone.
    await say("what are my notes?", { resume: agent.pendingInterrupts.map(({ id }) => ({ interruptId: id, status: "cancelled" })) });
    assert.match(last(), /buy bread/i, "the question was refused");
    console.log("CopilotKit asked, approved, refused and went on");
  } finally {
    client.close();
  }
}

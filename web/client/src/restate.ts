import { toRestored } from "./stock-ids.ts";
import type { CarrelClient } from "./client.ts";
import type { AgentEvent, Message } from "./events.ts";
import { earlierTries } from "./tries.ts";

/** MESSAGES_SNAPSHOT of AG-UI, which the server never sends. */
export interface MessagesSnapshot {
  readonly type: "MESSAGES_SNAPSHOT";
  readonly messages: readonly Message[];
}

/** The messages of the open thread without earlier tries at an answer, which a stock client would show beside the answer. */
export function snapshot(client: CarrelClient, messages: readonly Message[] = client.state.thread?.messages ?? []): MessagesSnapshot {
  const tries = earlierTries(messages);
  const runs = client.state.thread?.runs;
  return { type: "MESSAGES_SNAPSHOT", messages: messages.filter(({ id }) => !tries.has(id)).map((one) => toRestored(one, runs)) };
}

/**
 * The open thread as the events of one run: the messages, and then the events of the running run so far. If no run is running, the
 * run with the given id contains the messages and the open interrupts, and ends.
 */
export function restate(client: CarrelClient, threadId: string, runId: string): (AgentEvent | MessagesSnapshot)[] {
  const running = client.running();
  if (!running) {
    const { interrupts = [] } = client.state.thread ?? {};
    const outcome = interrupts.length > 0 ? { type: "interrupt", interrupts } : { type: "success" };
    return [{ type: "RUN_STARTED", threadId, runId }, snapshot(client), { type: "RUN_FINISHED", threadId, runId, outcome }];
  }
  const [first, ...rest] = running.events;
  // With its input, RUN_STARTED would put the user's message before the messages of the snapshot.
  const { input, ...bare } = first!;
  return [bare, snapshot(client, [...running.before, ...input?.messages ?? []]), ...rest];
}

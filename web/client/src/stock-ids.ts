import type { AgentEvent, Message } from "./events.ts";
import type { MessageRun } from "./headers.ts";
import { userMessage } from "./ids.ts";

/** The nth new message of a run, from 1. The stock client's own id is kept in its metadata. */
export function toCarrel(runId: string, n: number, clientId: string, content: string): Message {
  return { ...userMessage(runId, n, content), metadata: { clientId } };
}

/** The message under the id that a stock client gave it, or its own. */
export function toStock(message: Message): Message {
  const clientId = message.metadata?.clientId;
  return message.role === "user" && typeof clientId === "string" && clientId !== "" ? { ...message, id: clientId } : message;
}

/** A restored message for a stock client. `metadata.carrel` names its run; other metadata is kept. */
export function toRestored(message: Message, runs: ReadonlyMap<string, MessageRun> | undefined): Message {
  const stock = toStock(message);
  const run = runs?.get(message.id);
  if (!run) return stock;
  const { runId, at, agent, model } = run;
  const existing = stock.metadata?.carrel;
  const carrel = { ...(typeof existing === "object" && existing), runId, ...(at && { at }), ...(agent && { agent }), ...(model && { model }) };
  return { ...stock, metadata: { ...stock.metadata, carrel } };
}

/** The event with its input's messages under the stock client's ids. Otherwise the stock client would show them twice. */
export function withStockIds(event: AgentEvent): AgentEvent {
  const { input } = event;
  return input ? { ...event, input: { ...input, messages: input.messages.map(toStock) } } : event;
}

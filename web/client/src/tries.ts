import type { Message } from "./events.ts";

/**
 * The ids of the messages of answers that were cut and given again: a failure of the model's provider or of a worker cut them. The
 * mark `again` of one message, or of the result of one of its calls, counts for its whole answer. An answer that no later one
 * replaces is not among them, because its words are all that the person has.
 */
export function earlierTries(messages: readonly Message[]): ReadonlySet<string> {
  const answerOf = new Map<string, string>();
  const again = new Set<string>();
  for (const message of messages) {
    const { continues, again: repeated } = ours(message);
    const answer = message.role === "tool" ? answerOf.get(message.toolCallId ?? "") ?? message.id : typeof continues === "string" ? continues : message.id;
    answerOf.set(message.id, answer);
    for (const call of message.toolCalls ?? []) answerOf.set(call.id, answer);
    if (repeated === true) again.add(answer);
  }
  const tries = new Set<string>();
  let replaced = false;
  for (const message of messages.toReversed()) {
    if (message.role === "user") replaced = false;
    else if (again.has(answerOf.get(message.id)!)) {
      if (replaced) tries.add(message.id);
    } else if (message.role === "assistant") replaced = true;
  }
  return tries;
}

/** Carrel's metadata of a message. */
function ours({ metadata }: Message): Readonly<Record<string, unknown>> {
  const all = metadata?.carrel;
  return typeof all === "object" && all !== null ? all as Record<string, unknown> : {};
}

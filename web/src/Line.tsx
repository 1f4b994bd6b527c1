import type { Message, ToolCall } from "carrel-client";
import { visibleLine, plainly } from "./asked.ts";

interface LineProps {
  /** The call that asked the agent. */
  readonly call: ToolCall;
  /** How the call ended. */
  readonly outcome: string;
  /** The messages of this line and of others. */
  readonly lines: readonly Message[];
}

/** What an agent did that another agent asked: its name, the question, the state, and its messages, with those of the agents that it asked. */
export function Line({ call, outcome, lines }: LineProps) {
  const name = visibleLine(call.function.name.replace(/^ask_/, ""));
  const own = lines.filter(({ subagentRunId }) => subagentRunId === call.id);
  return (
    <details className="tool line" role="group" aria-label={`Agent ${name}`}>
      <summary>{name} <span className="outcome">{outcome}</span></summary>
      <p className="text asked">{plainly(question(call.function.arguments))}</p>
      {own.map((message) => <Step key={message.id} message={message} lines={lines} />)}
    </details>
  );
}

function Step({ message: { role, content, toolCalls = [] }, lines }: { readonly message: Message; readonly lines: readonly Message[] }) {
  if (role === "tool") return null;
  return (
    <>
      {content !== "" && (role === "reasoning" ? <details className="reasoning"><summary>Thinking</summary><p className="text">{content}</p></details> : <p className="text">{content}</p>)}
      {toolCalls.map((call) => <Call key={call.id} call={call} lines={lines} />)}
    </>
  );
}

function Call({ call, lines }: { readonly call: ToolCall; readonly lines: readonly Message[] }) {
  const result = lines.find(({ role, toolCallId }) => role === "tool" && toolCallId === call.id);
  const carrel = result?.metadata?.carrel as { readonly outcome?: unknown } | undefined;
  const outcome = result === undefined ? "…" : typeof carrel?.outcome === "string" ? carrel.outcome.replaceAll("_", " ") : "done";
  if (lines.some(({ subagentRunId }) => subagentRunId === call.id)) return <Line call={call} outcome={outcome} lines={lines} />;
  const name = visibleLine(call.function.name);
  return (
    <details className="tool" role="group" aria-label={`Tool call ${name}`}>
      <summary>{name} <span className="outcome">{outcome}</span></summary>
      <pre role="group" aria-label="Arguments">{plainly(call.function.arguments)}</pre>
      {result !== undefined && <pre role="group" aria-label="Result">{plainly(result.content)}</pre>}
    </details>
  );
}

/** The question in the arguments of a call, or the arguments while they are incomplete. */
function question(argumentsText: string): string {
  try {
    const { question: asked } = JSON.parse(argumentsText) as { readonly question?: unknown };
    return typeof asked === "string" ? asked : argumentsText;
  } catch {
    return argumentsText;
  }
}

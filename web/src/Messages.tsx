import { MessagePrimitive, useAuiState } from "@assistant-ui/react";
import type { ToolCallMessagePartProps } from "@assistant-ui/react";
import type { CallProgress, MessageRun } from "carrel-client";
import { createContext, useContext } from "react";
import { visibleLine, plainly } from "./asked.ts";
import { Copy } from "./Copy.tsx";
import { Line } from "./Line.tsx";
import { Markdown } from "./Markdown.tsx";
import type { Standing } from "./messages.ts";
import { Progress } from "./Progress.tsx";

/** Stops a run. Messages must be stable components, so it reaches them by context. */
export const Stop = createContext<(runId: string) => void>(() => {});

/** What the user wrote, as it was written. */
export function Question() {
  const stop = useContext(Stop);
  const { state, runId } = useStanding();
  return (
    <MessagePrimitive.Root className="message user" aria-label="You" role="article">
      <MessagePrimitive.Parts components={{ Text: Verbatim }} />
      {state === "queued" && (
        <p className="caption">Queued <button aria-label="Remove this message from the queue" onClick={() => runId && stop(runId)}>Remove</button></p>
      )}
      {state === "sending" && <p className="caption">Sending</p>}
    </MessagePrimitive.Root>
  );
}

/** What the agent said and did. */
export function Answer() {
  const { incomplete, again, cut, filtered, run } = useStanding();
  const text = useAuiState(({ message }) => message.content.map((part) => (part.type === "text" ? part.text : "")).join(""));
  const called = useAuiState(({ message }) => message.content.some((part) => part.type === "tool-call"));
  const running = useAuiState(({ message }) => message.status?.type === "running");
  const parts = <MessagePrimitive.Parts components={{ Text: Markdown, Reasoning, Empty: Thinking, tools: { Fallback: ToolCall } }} />;
  if (again) {
    return (
      <MessagePrimitive.Root className="message assistant" aria-label="An earlier try" role="article">
        <details><summary>An earlier try, which was cut off</summary>{parts}</details>
      </MessagePrimitive.Root>
    );
  }
  return (
    <MessagePrimitive.Root className="message assistant" aria-label="Agent" role="article">
      {parts}
      {filtered && <p className="caption">The model's content policy withheld this answer. Put the question in other words.</p>}
      {incomplete && <p className="caption">This answer was cut off.</p>}
      {cut && <p className="caption">The answer reached its longest length. Ask the agent to go on.</p>}
      {text !== "" && !called && !running && <Copy what="answer" text={() => text} />}
      {run && <About run={run} />}
    </MessagePrimitive.Root>
  );
}

/** When the agent was asked, and who answered. */
function About({ run: { at, agent, model } }: { readonly run: MessageRun }) {
  const when = at === undefined ? [] : [new Date(at)];
  return (
    <p className="caption about" title={[...when.map((time) => time.toLocaleString()), agent, model].filter(Boolean).join(", ")}>
      {[...when.map((time) => time.toLocaleTimeString([], { timeStyle: "short" })), agent, model].filter(Boolean).join(" · ")}
    </p>
  );
}

function useStanding(): Standing {
  return useAuiState(({ message }) => message.metadata.custom as Standing);
}

function Verbatim({ text }: { readonly text: string }) {
  return <p className="text">{text}</p>;
}

function Reasoning({ text }: { readonly text: string }) {
  return <details className="reasoning"><summary>Thinking</summary><p className="text">{text}</p></details>;
}

function Thinking({ status }: { readonly status: { readonly type: string } }) {
  return status.type === "running" ? <p className="working"><span className="unseen">The agent is working</span><i /><i /><i /></p> : null;
}

function ToolCall({ toolCallId, toolName, argsText, result, artifact }: ToolCallMessagePartProps) {
  const { lines = [] } = useStanding();
  const outcome = result === undefined ? "…" : typeof artifact === "string" ? artifact.replaceAll("_", " ") : "done";
  if (lines.some(({ subagentRunId }) => subagentRunId === toolCallId)) {
    return <Line call={{ id: toolCallId, type: "function", function: { name: toolName, arguments: argsText } }} outcome={outcome} lines={lines} />;
  }
  const name = visibleLine(toolName); // the model's word, even for a tool that there is not
  return (
    <details className="tool" open role="group" aria-label={`Tool call ${name}`}>
      <summary>{name} <span className="outcome">{outcome}</span></summary>
      {result === undefined && artifact !== undefined && typeof artifact !== "string" && <Progress name={name} progress={artifact as CallProgress} />}
      <pre role="group" aria-label="Arguments">{plainly(argsText)}</pre>
      {result !== undefined && <pre role="group" aria-label="Result" tabIndex={0}>{plainly(String(result))}</pre>}
    </details>
  );
}

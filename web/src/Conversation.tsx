import {
  AssistantRuntimeProvider, ComposerPrimitive, MessagePrimitive, ThreadPrimitive, useAuiState, useExternalStoreRuntime,
} from "@assistant-ui/react";
import type { AppendMessage, ThreadMessageLike, ToolCallMessagePartProps } from "@assistant-ui/react";
import { createContext, useContext, useMemo, useState } from "react";
import type { CarrelClient, ThreadState } from "carrel-client";
import { toLikes } from "./messages.ts";
import type { Standing } from "./messages.ts";

interface Props {
  readonly client: CarrelClient;
  readonly thread: ThreadState;
  readonly onFault: (fault: string) => void;
}

/** Stops a run. Messages must be stable components, so it reaches them by context. */
const Stop = createContext<(runId: string) => void>(() => {});

/** One thread and its composer. What is shown comes from the client's view alone, so other windows' runs appear too. */
export function Conversation({ client, thread, onFault }: Props) {
  const messages = useMemo(() => toLikes(thread), [thread]);
  const [stopping, setStopping] = useState<string>();
  const send = (message: AppendMessage): void => {
    const text = message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
    // What was not taken is not lost: it is back in the composer, unless something else stands there by now.
    const giveBack = (): void => {
      const { composer } = runtime.thread;
      if (composer.getState().text === "") composer.setText(text);
    };
    try {
      client.settled(client.send(text)).catch(giveBack);
    } catch (error) {
      onFault(said(error));
      giveBack();
    }
  };
  const stop = (runId: string): void => {
    setStopping(runId);
    client.cancel(runId).catch((error: unknown) => {
      setStopping(undefined);
      onFault(said(error));
    });
  };
  const older = (): void => {
    client.history().catch((error: unknown) => onFault(said(error)));
  };
  const runtime = useExternalStoreRuntime<ThreadMessageLike>({
    messages, convertMessage: (message) => message,
    // With runs queued, assistant-ui would show its empty answer below them.
    isRunning: thread.active !== undefined && !thread.queue.some((run) => run.state !== "starting"),
    onNew: async (message) => send(message),
    onCancel: async () => { if (thread.active) stop(thread.active); },
    // The server queues: a message may be sent at any time.
    queue: { items: [], steerItems: [], enqueue: send, steer: send, move: () => {}, edit: () => {}, remove: () => {} },
  });
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Stop value={stop}>
        <ThreadPrimitive.Root className="conversation">
          <ThreadPrimitive.Viewport className="viewport" role="log" aria-label="Conversation">
            {thread.more && <button className="older" onClick={older}>Show older messages</button>}
            {thread.loaded && messages.length === 0 && <p className="empty">Ask something.</p>}
            <ThreadPrimitive.Messages components={{ UserMessage: Question, AssistantMessage: Answer }} />
            {thread.stopped && <p className="caption">Stopped.</p>}
            {thread.failure && <p className="failure" role="alert">The run failed: {thread.failure.message}</p>}
          </ThreadPrimitive.Viewport>
          <ComposerPrimitive.Root className="composer">
            <ComposerPrimitive.Input aria-label="Message" placeholder="Write a message" rows={1} maxRows={8} autoFocus cancelOnEscape={false} />
            {thread.active && (
              <button type="button" disabled={stopping === thread.active} onClick={() => stop(thread.active!)}>
                {stopping === thread.active ? "Stopping" : "Stop"}
              </button>
            )}
            <ComposerPrimitive.Send>Send</ComposerPrimitive.Send>
          </ComposerPrimitive.Root>
        </ThreadPrimitive.Root>
      </Stop>
    </AssistantRuntimeProvider>
  );
}

function Question() {
  const stop = useContext(Stop);
  const { state, runId } = useAuiState(({ message }) => message.metadata.custom as Standing);
  return (
    <MessagePrimitive.Root className="message user" aria-label="You" role="article">
      <MessagePrimitive.Parts components={{ Text }} />
      {state === "waiting" && (
        <p className="caption">Queued <button onClick={() => runId && stop(runId)}>Remove</button></p>
      )}
      {state === "sending" && <p className="caption">Sending</p>}
    </MessagePrimitive.Root>
  );
}

function Answer() {
  const { incomplete } = useAuiState(({ message }) => message.metadata.custom as Standing);
  return (
    <MessagePrimitive.Root className="message assistant" aria-label="Agent" role="article">
      <MessagePrimitive.Parts components={{ Text, Reasoning, Empty: Thinking, tools: { Fallback: ToolCall } }} />
      {incomplete && <p className="caption">This answer was cut off.</p>}
    </MessagePrimitive.Root>
  );
}

function Text({ text }: { readonly text: string }) {
  return <p className="text">{text}</p>;
}

function Reasoning({ text }: { readonly text: string }) {
  return <details className="reasoning"><summary>Thinking</summary><p className="text">{text}</p></details>;
}

function Thinking({ status }: { readonly status: { readonly type: string } }) {
  return status.type === "running" ? <p className="caption" aria-label="The agent is working">…</p> : null;
}

function ToolCall({ toolName, argsText, result }: ToolCallMessagePartProps) {
  return (
    <details className="tool" open role="group" aria-label={`Tool call ${toolName}`}>
      <summary>{toolName}{result === undefined && " …"}</summary>
      <pre aria-label="Arguments">{argsText}</pre>
      {result !== undefined && <pre aria-label="Result">{String(result)}</pre>}
    </details>
  );
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

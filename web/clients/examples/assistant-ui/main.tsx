import { AssistantRuntimeProvider, ComposerPrimitive, MessagePrimitive, ThreadPrimitive } from "@assistant-ui/react";
import type { ReasoningMessagePartProps, TextMessagePartProps, ToolCallMessagePartProps } from "@assistant-ui/react";
import { useCarrelRuntime } from "carrel-client/assistant-ui";
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { session } from "../session.ts";
import { Approval, Call, Failure, Input, Thinking } from "../view.tsx";

const { client } = await session();

function App() {
  const [error, setError] = useState<Error>();
  const runtime = useCarrelRuntime(client, { onError: setError });
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ThreadPrimitive.Root>
        <ThreadPrimitive.Messages components={{ UserMessage: Question, AssistantMessage: Answer }} />
        <Failure error={error} />
        <ComposerPrimitive.Root>
          <ComposerPrimitive.Input aria-label="Message" />
          <ComposerPrimitive.Send>Send</ComposerPrimitive.Send>
          <ThreadPrimitive.If running><ComposerPrimitive.Cancel>Stop</ComposerPrimitive.Cancel></ThreadPrimitive.If>
        </ComposerPrimitive.Root>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}

const parts = { Text, Reasoning, tools: { Override: Tool } };

function Question() {
  return <MessagePrimitive.Root aria-label="You" role="article"><MessagePrimitive.Parts components={parts} /></MessagePrimitive.Root>;
}

function Answer() {
  return <MessagePrimitive.Root aria-label="Agent" role="article"><MessagePrimitive.Parts components={parts} /></MessagePrimitive.Root>;
}

function Text({ text }: TextMessagePartProps) {
  return <p>{text}</p>;
}

function Reasoning({ text }: ReasoningMessagePartProps) {
  return <Thinking text={text} />;
}

function Tool({ toolName, toolCallId, argsText, result, approval, respondToApproval, addResult }: ToolCallMessagePartProps) {
  const asks = result === undefined && client.state.thread?.interrupts.some((one) => one.toolCallId === toolCallId && one.reason === "input_required");
  return (
    <Call name={toolName} args={argsText} result={result === undefined ? undefined : String(result)}>
      {approval && result === undefined && <Approval onDecide={(approved) => respondToApproval({ approved })} />}
      {asks && <Input onAnswer={(text) => addResult(text)} />}
    </Call>
  );
}

createRoot(document.getElementById("root")!).render(<App />);

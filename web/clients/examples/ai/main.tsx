import { Chat, useChat } from "@ai-sdk/react";
import type { DynamicToolUIPart, UIMessage } from "ai";
import { CarrelTransport } from "carrel-client/ai";
import { createRoot } from "react-dom/client";
import { session } from "../session.ts";
import { Approval, Call, Composer, Failure, Input, Message, Thinking } from "../view.tsx";

const { client, threadId } = await session();
const transport = new CarrelTransport({ client });
// useChat would make a Chat that stops its run when the component is removed. This Chat does not.
const chat = new Chat({ id: threadId, transport, messages: await transport.messages(threadId) as UIMessage[], sendAutomaticallyWhen: transport.isAnswered });
void chat.resumeStream(); // the answer that is running, if there is one

function App() {
  const { messages, status, error, sendMessage, stop } = useChat({ chat });
  return (
    <main>
      {messages.map((message) => <Shown key={message.id} message={message} />)}
      <Failure error={error} />
      <Composer running={status === "submitted" || status === "streaming"} onSend={(text) => void sendMessage({ text })} onStop={() => void stop()} />
    </main>
  );
}

function Shown({ message: { role, parts } }: { readonly message: UIMessage }) {
  return (
    <Message from={role === "user" ? "You" : "Agent"}>
      {parts.map((part, i) => {
        if (part.type === "text") return isEarlierTry(parts, i) ? null : <p key={i}>{part.text}</p>;
        if (part.type === "reasoning") return <Thinking key={i} text={part.text} />;
        if (part.type === "dynamic-tool") return <Tool key={part.toolCallId} part={part} />;
        return null;
      })}
    </Message>
  );
}

function Tool({ part }: { readonly part: DynamicToolUIPart }) {
  const { state, toolName: name, toolCallId, input } = part;
  const result = state === "output-available" ? String(part.output) : state === "output-error" ? part.errorText : state === "output-denied" ? "refused" : undefined;
  const asks = state === "input-available" && client.state.thread?.interrupts.some((one) => one.toolCallId !== undefined && toolCallId.endsWith(`/${one.toolCallId}`));
  return (
    <Call name={name} args={JSON.stringify(input)} result={result}>
      {state === "approval-requested" && <Approval onDecide={(approved) => void chat.addToolApprovalResponse({ id: part.approval.id, approved })} />}
      {asks && <Input onAnswer={(output) => void chat.addToolOutput({ tool: name as never, toolCallId, output: output as never })} />}
    </Call>
  );
}

/** An answer that was cut and then given again: a worker or a provider failed. A reload leaves it out. */
function isEarlierTry(parts: UIMessage["parts"], i: number): boolean {
  const part = parts[i]!;
  return part.type === "text" && part.providerMetadata?.carrel?.again === true && parts.slice(i + 1).some(({ type }) => type === "text");
}

createRoot(document.getElementById("root")!).render(<App />);

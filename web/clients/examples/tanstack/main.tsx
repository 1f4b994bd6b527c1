import { useChat } from "@tanstack/ai-react";
import { carrelConnection } from "carrel-client/tanstack";
import { createRoot } from "react-dom/client";
import { session } from "../session.ts";
import { Approval, Call, Composer, Failure, Input, Message, Thinking } from "../view.tsx";

const { client, threadId } = await session();
const connection = carrelConnection({ client, threadId });

function App() {
  // live: the connection brings the thread and all its runs, also those of other devices.
  const { messages, error, sendMessage, stop, isLoading, sessionGenerating, resuming, interrupts } = useChat({ connection, threadId, live: true });
  return (
    <main>
      {messages.map(({ id, role, parts }) => {
        const results = new Map(parts.flatMap((part) => (part.type === "tool-result" ? [[part.toolCallId, String(part.content)]] : [])));
        return (
          <Message key={id} from={role === "user" ? "You" : "Agent"}>
            {parts.map((part, i) => {
              if (part.type === "text") return <p key={i}>{part.content}</p>;
              if (part.type === "thinking") return <Thinking key={i} text={part.content} />;
              if (part.type !== "tool-call") return null;
              const asks = interrupts.find((one) => client.state.thread?.interrupts.some((open) => open.id === one.id && open.toolCallId === part.id));
              return (
                <Call key={i} name={part.name} args={part.arguments} result={results.get(part.id)}>
                  {asks?.reason === "tool_call" && <Approval onDecide={(approved) => resolve(asks, { approved })} />}
                  {asks?.reason === "input_required" && <Input onAnswer={(text) => resolve(asks, text)} />}
                </Call>
              );
            })}
          </Message>
        );
      })}
      <Failure error={error} />
      <Composer running={isLoading || sessionGenerating || resuming} onSend={(text) => void sendMessage(text)} onStop={() => (client.state.thread?.active ? void client.cancel(client.state.thread.active) : stop())} />
    </main>
  );
}

/** TanStack AI has a type of its own for each kind of interrupt; Carrel's are generic. */
function resolve(interrupt: unknown, payload: unknown): void {
  (interrupt as { resolveInterrupt(payload: unknown): void }).resolveInterrupt(payload);
}

createRoot(document.getElementById("root")!).render(<App />);

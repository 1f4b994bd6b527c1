import { approve, earlierTries, refuse } from "carrel-client";
import type { Interrupt, Message as Said, Resume } from "carrel-client";
import { useThread, useThreads } from "carrel-client/react";
import { createRoot } from "react-dom/client";
import { session } from "../session.ts";
import { Approval, Call, Composer, Failure, Input, Message, Thinking } from "../view.tsx";

const { client, threadId } = await session();

function App() {
  const thread = useThread(client, threadId);
  const { threads } = useThreads(client);
  if (!thread) return null;
  const tries = earlierTries(thread.messages);
  const results = new Map(thread.messages.map((message) => [message.toolCallId, message.content]));
  const send = (text: string): void => {
    // While a question is open, a message refuses it.
    if (thread.interrupts.length === 0) client.send(text);
    else client.respond(threadId, thread.interrupts.map(refuse), text);
  };
  return (
    <main>
      <nav>{threads.map((row) => <p key={row.threadId}>{row.title}</p>)}</nav>
      {thread.messages.map((message) => (message.role === "tool" || tries.has(message.id) ? null : <Shown key={message.id} message={message} results={results} open={thread.interrupts} />))}
      {thread.queue.flatMap((run) => run.messages).map(({ id, content }) => <Message key={id} from="You"><p>{content}</p></Message>)}
      <Failure error={thread.failure} />
      <Composer running={thread.active !== undefined} onSend={send} onStop={() => void client.cancel(thread.active!)} />
    </main>
  );
}

function Shown({ message, results, open }: { readonly message: Said; readonly results: ReadonlyMap<string | undefined, string>; readonly open: readonly Interrupt[] }) {
  const { role, content, toolCalls = [] } = message;
  if (role === "reasoning") return <Message from="Agent"><Thinking text={content} /></Message>;
  const answer = (one: Resume): void => void client.respond(threadId, [one]);
  return (
    <Message from={role === "user" ? "You" : "Agent"}>
      {content && <p>{content}</p>}
      {toolCalls.map(({ id, function: call }) => {
        const asks = open.find(({ toolCallId }) => toolCallId === id);
        return (
          <Call key={id} name={call.name} args={call.arguments} result={results.get(id)}>
            {asks?.reason === "tool_call" && <Approval onDecide={(approved) => answer(approved ? approve(asks) : refuse(asks))} />}
            {asks?.reason === "input_required" && <Input onAnswer={(payload) => answer({ interruptId: asks.id, status: "resolved", payload })} />}
          </Call>
        );
      })}
    </Message>
  );
}

createRoot(document.getElementById("root")!).render(<App />);

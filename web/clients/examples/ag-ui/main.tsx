import type { Interrupt, Message as Said, ResumeEntry } from "@ag-ui/client";
import { CarrelAgent } from "carrel-client/agui";
import { useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { session } from "../session.ts";
import { Approval, Call, Composer, Failure, Input, Message, Thinking } from "../view.tsx";

const { client, threadId } = await session();
const agent = new CarrelAgent({ client, threadId });

/** What the page shows. It is a new object after each change. */
interface Shown {
  readonly messages: readonly Said[];
  readonly interrupts: readonly Interrupt[];
  readonly running: boolean;
  readonly error?: Error;
}
let shown: Shown = { messages: [], interrupts: [], running: false };
const listeners = new Set<() => void>();
function show(more: Partial<Shown> = {}): void {
  shown = { ...shown, messages: [...agent.messages], interrupts: agent.pendingInterrupts, running: agent.isRunning, ...more };
  for (const listener of listeners) listener();
}
agent.subscribe({ onMessagesChanged: () => show(), onRunInitialized: () => show(), onRunFinalized: () => show() });

/** Runs one thing after another: an agent has one run at a time. Events pass verifyEvents of @ag-ui/client, which ends the run at the first violation. */
let last: Promise<void> = Promise.resolve();
function run(what: () => Promise<unknown>): void {
  last = last.then(what).then(() => show({ running: false }), (error: Error) => show({ error, running: false }));
}
run(() => agent.connectAgent()); // the thread so far, and its running run

function send(text: string): void {
  run(() => {
    agent.addMessage({ id: crypto.randomUUID(), role: "user", content: text });
    return agent.runAgent();
  });
}
const resume = (answer: ResumeEntry): void => run(() => agent.runAgent({ resume: [answer] }));

function App() {
  const { messages, interrupts, running, error } = useSyncExternalStore((changed) => {
    listeners.add(changed);
    return () => listeners.delete(changed);
  }, () => shown);
  const results = new Map(messages.flatMap((message) => (message.role === "tool" ? [[message.toolCallId, String(message.content)]] : [])));
  return (
    <main>
      {messages.map((message) => {
        if (message.role === "user") return <Message key={message.id} from="You"><p>{String(message.content)}</p></Message>;
        if (message.role === "reasoning") return <Message key={message.id} from="Agent"><Thinking text={message.content} /></Message>;
        if (message.role !== "assistant") return null;
        return (
          <Message key={message.id} from="Agent">
            {message.content && <p>{message.content}</p>}
            {(message.toolCalls ?? []).map(({ id, function: call }) => <Tool key={id} call={call} result={results.get(id)} asks={interrupts.find(({ toolCallId }) => toolCallId === id)} />)}
          </Message>
        );
      })}
      <Failure error={error} />
      <Composer running={running} onSend={send} onStop={() => agent.abortRun()} />
    </main>
  );
}

function Tool({ call, result, asks }: { readonly call: { name: string; arguments: string }; readonly result: string | undefined; readonly asks: Interrupt | undefined }) {
  return (
    <Call name={call.name} args={call.arguments} result={result}>
      {asks?.reason === "tool_call" && <Approval onDecide={(approved) => resume({ interruptId: asks.id, status: "resolved", payload: { approved } })} />}
      {asks?.reason === "input_required" && <Input onAnswer={(payload) => resume({ interruptId: asks.id, status: "resolved", payload })} />}
    </Call>
  );
}

createRoot(document.getElementById("root")!).render(<App />);

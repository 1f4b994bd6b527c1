import type { ThreadState } from "carrel-client";
import { Capacity } from "./Capacity.tsx";
import { Sources } from "./Progress.tsx";
import { lack, lastQuestion } from "./messages.ts";

/** Example questions that every agent, also the built-in one, can answer. */
const EXAMPLES = ["What is 12*(3+4)?", "What is 365*24*60*60?", "Help"];

/** A thread without messages. */
export function Beginning({ loaded, onAsk }: { readonly loaded: boolean; readonly onAsk: (text: string) => void }) {
  if (!loaded) return <p className="empty">Loading</p>;
  return (
    <div className="empty">
      <p>Ask something.</p>
      <div className="examples">
        {EXAMPLES.map((text) => <button key={text} onClick={() => onAsk(text)}>{text}</button>)}
      </div>
    </div>
  );
}

interface EndingProps {
  readonly thread: ThreadState;
  readonly asks: boolean;
  readonly onRetry: (text: string) => void;
}

/** Shows how the last run failed, with a button that sends the message again. */
export function Ending({ thread, asks, onRetry }: EndingProps) {
  const question = lastQuestion(thread);
  const still = thread.loaded && !thread.lagging && thread.active === undefined && !asks && thread.queue.length === 0;
  // A later run shows its own end.
  const over = thread.queue.length === 0;
  const missing = still ? lack(thread) : undefined;
  const retry = still && question !== undefined && <button onClick={() => onRetry(question)}>Try again</button>;
  return (
    <>
      <p role="status" className="unseen">{thread.active ? "The agent is answering." : asks ? "The agent asks something, and waits for you." : ""}</p>
      <Capacity thread={thread} />
      <Sources sources={thread.sources} />
      {over && thread.failure && <div className="ending failure" role="alert"><p>The run failed: {thread.failure.message}</p>{retry}</div>}
      {over && thread.stopped && <div className="ending caption"><p>Stopped.</p>{retry}</div>}
      {!thread.failure && !thread.stopped && missing && (
        <div className="ending caption"><p>{missing === "answer" ? "No answer came." : "The run ended before the answer was complete."}</p>{retry}</div>
      )}
    </>
  );
}

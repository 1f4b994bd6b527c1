import { useEffect, useState } from "react";
import type { ThreadState } from "carrel-client";

/** A run that has not begun so long after it was accepted waits for capacity, in milliseconds. */
const LATE = 10_000;

/** What a person is told while a run has a slot and nothing comes of it. */
export function Capacity({ thread }: { readonly thread: ThreadState }) {
  // While events may be missing, the run may have begun.
  const run = thread.lagging ? undefined : thread.starting;
  if (thread.active !== undefined && thread.waiting) return <Waiting why={thread.waiting.why} />;
  return run === undefined ? null : <Late key={run} />;
}

/** What a person is told while the run waits for its model. */
function Waiting({ why }: { readonly why: string }) {
  const text = { thinking: "The model is thinking.", trying_another_model: "The model does not answer. Another one is asked." }[why] ?? "The model has too many requests. Your message is kept, and is asked again in a moment.";
  return <div role="status"><p className="ending caption">{text}</p></div>;
}

function Late() {
  const [late, tell] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => tell(true), LATE);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status">
      {late && <p className="ending caption">Waiting for capacity. Your message is kept, and is answered as soon as there is room. You can leave this page meanwhile.</p>}
    </div>
  );
}

import { useState } from "react";
import type { FormEvent, ReactNode } from "react";

/** A message. The tests find it by its role and name. */
export function Message({ from, children }: { readonly from: "You" | "Agent"; readonly children: ReactNode }) {
  return <article aria-label={from}>{children}</article>;
}

/** What the model thought. */
export function Thinking({ text }: { readonly text: string }) {
  return <details aria-label="Reasoning"><summary>Reasoning</summary><p>{text}</p></details>;
}

/** A tool call with its arguments, and its result as soon as there is one. */
export function Call({ name, args, result, children }: { readonly name: string; readonly args: string; readonly result?: string | undefined; readonly children?: ReactNode }) {
  return (
    <div role="group" aria-label={`Tool call ${name}`}>
      <code aria-label="Arguments">{args}</code>
      {result !== undefined && <output aria-label="Result">{result}</output>}
      {children}
    </div>
  );
}

/** May the tool be called? */
export function Approval({ onDecide }: { readonly onDecide: (approved: boolean) => void }) {
  return (
    <span role="group" aria-label="Approval">
      <button onClick={() => onDecide(true)}>Approve</button>
      <button onClick={() => onDecide(false)}>Refuse</button>
    </span>
  );
}

/** A question of a tool, which takes a text. */
export function Input({ onAnswer }: { readonly onAnswer: (text: string) => void }) {
  const [text, setText] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onAnswer(text);
  };
  return (
    <form aria-label="Question" onSubmit={submit}>
      <input aria-label="Answer" value={text} onChange={({ target }) => setText(target.value)} />
      <button>Answer</button>
    </form>
  );
}

/** The box for a new message, and the button that stops the run. */
export function Composer({ running, onSend, onStop }: { readonly running: boolean; readonly onSend: (text: string) => void; readonly onStop: () => void }) {
  const [text, setText] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onSend(text);
    setText("");
  };
  return (
    <form onSubmit={submit}>
      <textarea aria-label="Message" value={text} onChange={({ target }) => setText(target.value)} />
      <button>Send</button>
      {running && <button type="button" onClick={onStop}>Stop</button>}
    </form>
  );
}

/** Why something failed. */
export function Failure({ error }: { readonly error: { readonly message: string } | undefined }) {
  return error ? <p role="alert">{error.message}</p> : null;
}

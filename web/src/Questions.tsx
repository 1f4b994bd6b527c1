import { useEffect, useId, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode, SyntheticEvent } from "react";
import type { Interrupt, Resume } from "carrel-client";
import { approvalOf, approve, argumentsOf, askedOf, editorOf, fieldsOf, isDecision, payloadOf, plainly, refuse } from "./asked.ts";
import type { Field } from "./asked.ts";
import { said } from "./said.ts";

interface Props {
  readonly interrupts: readonly Interrupt[];
  readonly kept: Kept;
  readonly onAnswer: (answers: readonly Resume[]) => void;
}

/** What was written into forms, by question and field: an answer that is refused is there to be mended. */
export type Kept = Map<string, ReadonlyMap<string, string>>;

/** What the agent asks before it goes on. One question is answered by its button, several go together. */
export function Questions({ interrupts, kept, onAnswer }: Props) {
  const [given, give] = useState<ReadonlyMap<string, Resume>>(new Map());
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // After the conversation has scrolled itself to its end.
    const later = requestAnimationFrame(() => attend(heading.current!));
    return () => cancelAnimationFrame(later);
  }, []);
  const until = endOf(interrupts);
  const several = interrupts.length > 1;
  const left = interrupts.filter(({ id }) => !given.has(id)).length;
  const answer = (id: string, answered: Resume | undefined): void => {
    if (!several && answered) return onAnswer([answered]);
    const next = new Map(given);
    if (answered) next.set(id, answered);
    else next.delete(id);
    give(next);
  };
  return (
    <section className="questions" aria-labelledby="asks">
      <h3 id="asks" ref={heading} tabIndex={-1}>{several ? `The agent asks ${interrupts.length} things before it goes on` : "The agent asks before it goes on"}</h3>
      {interrupts.map((one) => <Question key={one.id} asked={one} kept={kept} several={several} given={given.get(one.id)} onAnswer={(answered) => answer(one.id, answered)} />)}
      {several && (
        <div className="send-answers">
          <button className="primary" disabled={left > 0} onClick={() => onAnswer(interrupts.map(({ id }) => given.get(id)!))}>Send answers</button>
          <span role="status" className="caption">{left > 0 ? `${left} of ${interrupts.length} still open` : "All are answered"}</span>
        </div>
      )}
      <p className="caption">{until !== undefined && `This can be answered until ${until}. `}Or write a message: that refuses{several ? " all of it" : ""}, and the agent goes on with what you write.</p>
    </section>
  );
}

/** When the first of them expires. The server decides: this clock may be wrong. */
function endOf(interrupts: readonly Interrupt[]): string | undefined {
  const ends = interrupts.map(({ expiresAt }) => Date.parse(expiresAt ?? "")).filter((end) => !Number.isNaN(end));
  return ends.length === 0 ? undefined : new Date(Math.min(...ends)).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Moves the focus to what is asked, unless the person is in the middle of something. */
function attend(heading: HTMLElement): void {
  const at = document.activeElement;
  const idle = at === null || at === document.body || at.matches(".viewport, main h2") || (at instanceof HTMLTextAreaElement && at.value === "");
  if (idle && document.querySelector("dialog[open]") === null) heading.focus();
  heading.parentElement?.scrollIntoView({ block: "nearest" });
}

interface QuestionProps {
  readonly asked: Interrupt;
  readonly kept: Kept;
  /** It is one of several, which are sent together: its buttons tell what was chosen. */
  readonly several: boolean;
  readonly given: Resume | undefined;
  readonly onAnswer: (answer: Resume | undefined) => void;
}

function Question({ asked, kept, several, given, onAnswer }: QuestionProps) {
  const { tool, args } = askedOf(asked);
  const name = tool ?? "Question";
  const decides = isDecision(asked);
  return (
    <div className="question" role="group" aria-label={`Question: ${name}`}>
      {tool && <p className="tool-name">{tool}</p>}
      <p className="text">{asked.message !== undefined ? plainly(asked.message) : (decides ? "May this tool be called?" : "An answer is needed.")}</p>
      {decides && args && args !== "{}" && <pre role="group" aria-label="Arguments" tabIndex={0}>{args}</pre>}
      {decides
        ? <Decision asked={asked} kept={kept} several={several} given={given} onAnswer={onAnswer} />
        : <Form asked={asked} kept={kept} several={several} given={given} onAnswer={onAnswer} fields={fieldsOf(asked.responseSchema)} submit="Answer" />}
    </div>
  );
}

/** Allows a call, as the model wrote it or with other arguments, or refuses it. */
function Decision(props: QuestionProps) {
  const { asked, kept, several, given, onAnswer } = props;
  const { id: interruptId } = asked;
  const [editing, edit] = useState(kept.has(interruptId));
  if (editing) {
    const { fields, written } = editorOf(asked);
    const back = (): void => {
      kept.delete(interruptId);
      if (given) onAnswer(undefined);
      edit(false);
    };
    return (
      <Form {...props} fields={fields} initial={written} submit="Allow with these arguments" answer={approvalOf}>
        <button type="button" onClick={back}>Keep the arguments as they were</button>
      </Form>
    );
  }
  return (
    <div className="decision">
      <button aria-pressed={several ? given?.status === "resolved" : undefined} onClick={() => onAnswer(approve(asked))}>Allow</button>
      {argumentsOf(asked) !== undefined && <button onClick={() => edit(true)}>Change the arguments</button>}
      <button aria-pressed={several ? given?.status === "cancelled" : undefined} onClick={() => onAnswer(refuse(asked))}>Refuse</button>
    </div>
  );
}

interface FormProps extends QuestionProps {
  readonly fields: readonly Field[];
  /** What stands in the fields at first. */
  readonly initial?: ReadonlyMap<string, string>;
  /** What the button that answers says. */
  readonly submit: string;
  /** Makes the answer of what was entered; it throws with what is wrong. */
  readonly answer?: (asked: Interrupt, entered: unknown) => Resume;
  /** More buttons. */
  readonly children?: ReactNode;
}

/** What was entered, as the answer to what a tool asked for. */
function inputOf({ id }: Interrupt, payload: unknown): Resume {
  return { interruptId: id, status: "resolved", payload };
}

function Form({ asked, kept, several, given, onAnswer, fields, initial, submit: label, answer = inputOf, children }: FormProps) {
  const { id: interruptId } = asked;
  const [written, write] = useState<ReadonlyMap<string, string>>(kept.get(interruptId) ?? initial ?? new Map());
  const [fault, setFault] = useState<string>();
  const change = (name: string, text: string): void => {
    const next = new Map(written).set(name, text);
    kept.set(interruptId, next);
    write(next);
    setFault(undefined);
    if (given) onAnswer(undefined);
  };
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    try {
      onAnswer(answer(asked, payloadOf(fields, written)));
    } catch (error) {
      setFault(said(error));
    }
  };
  return (
    <form onSubmit={submit}>
      {fields.map((field) => <Input key={field.name} field={field} text={written.get(field.name) ?? ""} onChange={(text) => change(field.name, text)} />)}
      {fault && <p role="alert" className="failure">{fault}</p>}
      <div className="decision">
        <button className="primary" aria-pressed={several ? given?.status === "resolved" : undefined}>{label}</button>
        {children}
        <button type="button" aria-pressed={several ? given?.status === "cancelled" : undefined} onClick={() => onAnswer(refuse(asked))}>Refuse</button>
      </div>
    </form>
  );
}

interface InputProps {
  readonly field: Field;
  readonly text: string;
  readonly onChange: (text: string) => void;
}

function Input({ field: { label, hint, kind, choices, required }, text, onChange }: InputProps) {
  const id = useId();
  const common = { id, value: text, "aria-required": required, "aria-describedby": hint === undefined ? undefined : `${id}hint` };
  return (
    <div className="field">
      <label htmlFor={id}>{label}{!required && <span className="caption"> (optional)</span>}</label>
      {kind === "choice"
        ? (
          <select {...common} onChange={(event) => onChange(event.target.value)}>
            <option value="">Choose</option>
            {choices.map(([shown]) => <option key={shown} value={shown}>{shown}</option>)}
          </select>
        )
        : kind === "json" || kind === "text"
          ? <textarea {...common} rows={kind === "json" ? 4 : 1} spellCheck={kind === "text"} onKeyDown={kind === "text" ? onEnter : undefined} onChange={(event) => onChange(event.target.value)} />
          : <input {...common} inputMode={kind === "number" ? "decimal" : kind === "integer" ? "numeric" : undefined} autoComplete="off" onChange={(event) => onChange(event.target.value)} />}
      {hint !== undefined && <p id={`${id}hint`} className="caption">{hint}</p>}
    </div>
  );
}

/** Enter answers, as in a field of one line; with Shift it begins a line. An input would drop the line ends of what is pasted. */
function onEnter(event: KeyboardEvent<HTMLTextAreaElement>): void {
  if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
  event.preventDefault();
  event.currentTarget.form?.requestSubmit();
}

import { useEffect, useRef, useState } from "react";
import type { KeyboardEvent, SyntheticEvent } from "react";
import { isBlank } from "carrel-client";
import type { CarrelClient, ThreadInfo } from "carrel-client";
import { said } from "./said.ts";

interface Props {
  readonly client: CarrelClient;
  readonly row: ThreadInfo;
  readonly title: string;
  readonly open: boolean;
  readonly onOpen: (threadId: string) => void;
  readonly onDeleted: (threadId: string) => void;
}

/** The longest title that the server accepts, in characters. */
const LONGEST_TITLE = 200;

/** A thread of the list, with its actions. */
export function ThreadRow({ client, row, title, open, onOpen, onDeleted }: Props) {
  const [mode, go] = useState<"menu" | "rename" | "delete">();
  const more = useRef<HTMLButtonElement>(null);
  const refocus = useRef(false);
  const back = (): void => {
    refocus.current = true;
    go(undefined);
  };
  // The button may not exist before the form in its place is removed.
  useEffect(() => {
    if (mode || !refocus.current) return;
    refocus.current = false;
    more.current?.focus();
  }, [mode]);
  return (
    <li>
      {mode === "rename"
        ? <Rename client={client} row={row} onDone={back} />
        : (
          <div className="row">
            <button data-thread={row.threadId} aria-current={open} onClick={() => onOpen(row.threadId)}>
              <span className="title">{title}</span>
              {row.interrupted && <span className="dot asks" role="img" aria-label="waits for your answer" />}
              {(row.status === "running" || row.status === "queued") && (
                <span className={`dot ${row.status}`} role="img" aria-label={row.status} />
              )}
            </button>
            <button ref={more} className="more" aria-haspopup="menu" aria-expanded={mode === "menu"} aria-label={`Actions for ${title}`} onClick={() => go(mode ? undefined : "menu")}>
              <span aria-hidden="true">⋯</span>
            </button>
          </div>
        )}
      {mode === "menu" && <Menu title={title} onRename={() => go("rename")} onDelete={() => go("delete")} onBack={back} onAway={() => go(undefined)} />}
      {mode === "delete" && <Delete client={client} row={row} title={title} onBack={back} onDone={() => onDeleted(row.threadId)} />}
    </li>
  );
}

interface MenuProps {
  readonly title: string;
  readonly onRename: () => void;
  readonly onDelete: () => void;
  readonly onBack: () => void;
  readonly onAway: () => void;
}

function Menu({ title, onRename, onDelete, onBack, onAway }: MenuProps) {
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => menu.current?.querySelector("button")?.focus(), []);
  const key = (event: KeyboardEvent): void => {
    const items = [...menu.current?.querySelectorAll("button") ?? []];
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape") onBack();
    else if (to !== undefined) items.at(to % items.length)?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const blur = (event: SyntheticEvent<HTMLDivElement, FocusEvent>): void => {
    const to = event.nativeEvent.relatedTarget as Node | null;
    // Its own button closes it.
    if (to && !menu.current?.contains(to) && !menu.current?.parentElement?.contains(to)) onAway();
  };
  return (
    <div ref={menu} className="menu-items" role="menu" aria-label={`Actions for ${title}`} tabIndex={-1} onKeyDown={key} onBlur={blur}>
      <button role="menuitem" onClick={onRename}>Rename</button>
      <button role="menuitem" onClick={onDelete}>Delete</button>
    </div>
  );
}

function Rename({ client, row, onDone }: { readonly client: CarrelClient; readonly row: ThreadInfo; readonly onDone: () => void }) {
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [title, setTitle] = useState(row.title);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  const save = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (title.trim() === row.title) return onDone();
    if (isBlank(title)) return setFault("Write a title, or press Escape to keep the old one.");
    const points = [...title.trim()].length;
    if (points > LONGEST_TITLE) return setFault(`A title has at most ${LONGEST_TITLE} characters, and this one has ${points}. Shorten it.`);
    setBusy(true);
    client.rename(row.threadId, title.trim()).then(onDone, (error: unknown) => {
      setBusy(false);
      setFault(said(error));
    });
  };
  const key = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    onDone();
  };
  return (
    <form className="rename" onSubmit={save} onKeyDown={key}>
      <input ref={field} aria-label="Title" value={title} onChange={(event) => setTitle(event.target.value)} />
      <button disabled={busy}>Save</button>
      <button type="button" onClick={onDone}>Cancel</button>
      {fault && <p role="alert" className="failure">{fault}</p>}
    </form>
  );
}

interface DeleteProps {
  readonly client: CarrelClient;
  readonly row: ThreadInfo;
  readonly title: string;
  readonly onBack: () => void;
  readonly onDone: () => void;
}

function Delete({ client, row, title, onBack, onDone }: DeleteProps) {
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const done = useRef(false);
  useEffect(() => dialog.current?.showModal(), []);
  const remove = (): void => {
    setBusy(true);
    client.delete(row.threadId).then(() => {
      done.current = true;
      // Elements outside of an open dialog cannot have the focus.
      dialog.current?.close();
      onDone();
    }, (error: unknown) => {
      setBusy(false);
      setFault(said(error));
    });
  };
  return (
    <dialog ref={dialog} aria-label="Delete thread" onClose={() => { if (!done.current) onBack(); }} onKeyDown={(event) => event.stopPropagation()}>
      <p>Delete “{title}”? A run that goes on in it is stopped. This cannot be undone.</p>
      {fault && <p role="alert" className="failure">{fault}</p>}
      <div className="choices">
        <button onClick={() => dialog.current?.close()}>Cancel</button>
        <button className="danger" disabled={busy} onClick={remove}>{busy ? "Deleting" : "Delete"}</button>
      </div>
    </dialog>
  );
}

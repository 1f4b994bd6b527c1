import { useRef, useState } from "react";
import { textKey, visibleLine } from "./asked.ts";
import type { CarrelClient, ClientState, ThreadInfo } from "carrel-client";
import { said } from "./said.ts";
import { ThreadRow } from "./ThreadRow.tsx";

interface Props {
  readonly client: CarrelClient;
  readonly state: ClientState;
  readonly openId: string | undefined;
  readonly onOpen: (threadId: string) => void;
  readonly onNew: () => void;
  readonly onRuns: () => void;
  readonly onFault: (fault: string) => void;
}

/** The user's threads, last used first, with a search by title over the loaded ones. */
export function Threads({ client, state, openId, onOpen, onNew, onRuns, onFault }: Props) {
  const [wanted, want] = useState("");
  const [asking, ask] = useState(false);
  const list = useRef<HTMLUListElement>(null);
  const fresh = useRef<HTMLButtonElement>(null);
  const { threads, moreThreads } = state;
  const found = threads.filter((row) => folded(titleOf(row)).includes(folded(wanted)));
  const older = (): void => {
    ask(true);
    client.olderThreads().catch((error: unknown) => onFault(said(error))).finally(() => ask(false));
  };
  const deleted = (threadId: string): void => {
    // The focus moves to the next row, or the previous one, or else to the button that always exists.
    const at = found.findIndex((row) => row.threadId === threadId);
    const next = found[at + 1] ?? found[at - 1];
    const button = next && list.current?.querySelector<HTMLElement>(`[data-thread="${next.threadId}"]`);
    (button ?? fresh.current)?.focus();
    if (threadId === openId) onNew();
  };
  return (
    <nav aria-label="Threads" id="threads">
      <button ref={fresh} className="primary" onClick={onNew}>New thread</button>
      {(threads.length > 0 || wanted !== "") && (
        <input type="search" aria-label="Search threads by title" placeholder="Search titles" value={wanted} onChange={(event) => want(event.target.value)} />
      )}
      <p role="status" className="caption">{summary(state, wanted.trim(), found.length)}</p>
      <ul ref={list}>
        {found.map((row) => (
          <ThreadRow key={row.threadId} client={client} row={row} title={titleOf(row)} open={row.threadId === openId} onOpen={onOpen} onDeleted={deleted} />
        ))}
      </ul>
      {moreThreads && <button disabled={asking} onClick={older}>{wanted.trim() ? "Search older threads too" : "Show older threads"}</button>}
      <button className="your-runs" aria-haspopup="dialog" onClick={onRuns}>Your runs</button>
    </nav>
  );
}

/** Normalises a text for the search: letter case and Unicode composition do not matter. */
function folded(text: string): string {
  return textKey(text.toLocaleLowerCase());
}

function titleOf({ title }: ThreadInfo): string {
  return visibleLine(title || "Untitled");
}

function summary({ threads, status }: ClientState, wanted: string, found: number): string {
  if (wanted) return found === 0 ? "No title has this." : `${found} of ${threads.length}`;
  return threads.length === 0 && status === "ready" ? "Your threads will be listed here." : "";
}

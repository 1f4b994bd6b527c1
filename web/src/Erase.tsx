import { useEffect, useRef, useState } from "react";
import type { SyntheticEvent } from "react";
import { RefusedError } from "carrel-client";
import type { CarrelClient, ClientState } from "carrel-client";
import { said } from "./said.ts";
import type { Goal } from "./signin.ts";

/** The word that must be typed. */
const WORDS = "delete everything";

interface EraseProps {
  readonly client: CarrelClient;
  /** Whether the person returns from the new sign-in that this dialog requested. */
  readonly again: boolean;
  readonly onSignIn: (goal: Goal) => void;
  readonly onClose: () => void;
}

/** Asks twice before it deletes everything of the user, and requests a new sign-in if the last one is not recent. */
export function Erase({ client, again, onSignIn, onClose }: EraseProps) {
  const [typed, type] = useState("");
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [old, setOld] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const erase = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (typed.trim().toLowerCase() !== WORDS) {
      dialog.current?.querySelector("input")?.focus();
      return setFault(`Nothing was deleted. Type “${WORDS}” to confirm.`);
    }
    setBusy(true);
    // From here on the page shows the client's state.
    client.erase().catch((error: unknown) => {
      setBusy(false);
      setOld(error instanceof RefusedError && error.code === "reauthenticate");
      setFault(`Nothing was deleted: ${said(error)}`);
    });
  };
  return (
    <dialog ref={dialog} aria-label="Delete all my data" onClose={onClose} onKeyDown={(event) => event.stopPropagation()}>
      <form onSubmit={erase}>
        <p>All your threads, messages and runs are deleted, in every window and on every device. What runs is stopped. This cannot be undone.</p>
        <p>
          Backups keep deleted data for up to 35 days. Logs keep a code for you and the times of your runs, without any text,
          usually for 30 days. Your account at the sign-in service stays.
        </p>
        {again && <p role="status">You have signed in again. Nothing is deleted yet: confirm within five minutes.</p>}
        <div className="field">
          <label htmlFor="confirm">Type “{WORDS}” to confirm</label>
          <input id="confirm" value={typed} autoComplete="off" autoCapitalize="none" onChange={(event) => type(event.target.value)} />
        </div>
        {fault && <p role="alert" className="failure">{fault}</p>}
        <div className="choices">
          <button type="button" onClick={() => dialog.current?.close()}>Keep everything</button>
          {old && <button type="button" className="primary" onClick={() => onSignIn("erase")}>Sign in again</button>}
          <button className="danger" disabled={busy}>{busy ? "Deleting" : "Delete everything"}</button>
        </div>
      </form>
    </dialog>
  );
}

interface GoneProps {
  readonly client: CarrelClient;
  readonly state: ClientState;
  readonly onSignOut: () => void;
}

/** Shows the progress of the erasure to its user. */
export function Gone({ client, state, onSignOut }: GoneProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const erased = state.erasure === "erased";
  return (
    <main className="welcome">
      <h1 ref={heading} tabIndex={-1}>{erased ? "Everything is deleted" : "Everything is being deleted"}</h1>
      <p role="status">
        {erased
          ? "All your data is deleted: threads, messages and runs. For the next 24 hours this account cannot be used here."
          : "Your threads, messages and runs are being deleted. Nothing can stop that, and it goes on if you leave; it takes about a minute. This account cannot be used here for 24 hours."}
      </p>
      {!erased && <button onClick={() => client.connect()}>Look again</button>}
      <button className="primary" onClick={onSignOut}>Sign out</button>
    </main>
  );
}

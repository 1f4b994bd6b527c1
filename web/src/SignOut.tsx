import { useEffect, useRef, useState } from "react";
import type { SyntheticEvent } from "react";
import type { CarrelClient } from "carrel-client";
import { said } from "./said.ts";

/** Asks before all sessions of the user are ended. */
export function SignOutEverywhere({ client, onClose }: { readonly client: CarrelClient; readonly onClose: () => void }) {
  const [runsToo, stopRuns] = useState(false);
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const signOut = (event: SyntheticEvent): void => {
    event.preventDefault();
    setBusy(true);
    // From here on the page shows the client's state.
    client.signOut(runsToo).catch((error: unknown) => {
      setBusy(false);
      setFault(`You are still signed in: ${said(error)}`);
    });
  };
  return (
    <dialog ref={dialog} aria-label="Sign out everywhere" onClose={onClose} onKeyDown={(event) => event.stopPropagation()}>
      <form onSubmit={signOut}>
        <p>You are signed out in every window and on every device, here too. Your threads stay. What runs goes on.</p>
        <label className="field">
          <input type="checkbox" checked={runsToo} onChange={(event) => stopRuns(event.target.checked)} /> Stop all my runs as well
        </label>
        {fault && <p role="alert" className="failure">{fault}</p>}
        <div className="choices">
          <button type="button" onClick={() => dialog.current?.close()}>Stay signed in</button>
          <button className="danger" disabled={busy}>{busy ? "Signing out" : "Sign out everywhere"}</button>
        </div>
      </form>
    </dialog>
  );
}

/** What a person sees whose session was ended: nothing of what they had. */
export function SignedOut({ fault, onSignIn }: { readonly fault: string | undefined; readonly onSignIn: () => void }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <main className="welcome">
      <h1 ref={heading} tabIndex={-1}>You are signed out</h1>
      <p role="status">You signed out in another window, or all your sessions were ended. Sign in to go on.</p>
      {fault && <p className="failure" role="alert">{fault}</p>}
      <button className="primary" onClick={onSignIn}>Sign in</button>
    </main>
  );
}

import { useEffect, useRef, useState } from "react";
import type { KeyboardEvent, MouseEvent } from "react";
import { visibleLine } from "./asked.ts";
import type { CarrelClient } from "carrel-client";
import { useCarrel } from "carrel-client/react";
import { addressOf, threadInAddress } from "./address.ts";
import { Conversation } from "./Conversation.tsx";
import type { Drafts } from "./drafts.ts";
import { Erase, Gone } from "./Erase.tsx";
import { Otherwise } from "./Otherwise.tsx";
import { focusComposer, usePhone } from "./phone.ts";
import { Runs } from "./Runs.tsx";
import { said } from "./said.ts";
import type { Goal, Person, SignIn } from "./signin.ts";
import { SignedOut, SignOutEverywhere } from "./SignOut.tsx";
import { Connection, Troubles } from "./State.tsx";
import { Threads } from "./Threads.tsx";

interface Props {
  readonly client: CarrelClient;
  readonly signIn: SignIn;
  readonly person: Person;
  readonly drafts: Drafts;
}

/** The page of a signed-in person. */
export function App({ client, signIn, person, drafts }: Props) {
  const state = useCarrel(client);
  const [fault, setFault] = useState<string>();
  const [listShown, showList] = useState(false);
  const [asked, ask] = useState<"runs" | "erase" | "signOut" | undefined>(signIn.goal);
  const phone = usePhone();
  const page = useRef<HTMLDivElement>(null);
  const leaving = useRef(false);
  const gone = state.erasure !== undefined;
  const [left, setLeft] = useState(false);
  const ended = left || state.status === "signedOut";
  const drawer = phone && listShown;
  const threadId = state.thread?.threadId;
  const title = visibleLine(state.threads.find((row) => row.threadId === threadId)?.title || "New thread");

  useEffect(() => {
    const follow = (): void => {
      const wanted = threadInAddress();
      if (wanted) client.open(wanted);
      else history.replaceState(null, "", addressOf(client.newThread()));
    };
    follow();
    client.connect();
    window.addEventListener("hashchange", follow);
    return () => {
      window.removeEventListener("hashchange", follow);
      client.close();
    };
  }, [client]);

  // Only the list shows changes to threads that happened while the client was offline.
  useEffect(() => {
    if (state.status === "ready") client.threads().catch((error: unknown) => setFault(said(error)));
  }, [client, state.status]);

  // Unsent messages would be lost with this page.
  useEffect(() => {
    const keep = (): void => {
      if (leaving.current || client.state.erasure) return drafts.clear();
      for (const [threadId, messages] of client.unsent()) {
        drafts.put(threadId, [...messages.map(({ content }) => content), drafts.get(threadId)].filter((text) => text !== "").join("\n\n"));
      }
    };
    window.addEventListener("pagehide", keep);
    return () => window.removeEventListener("pagehide", keep);
  }, [client, drafts]);

  useEffect(() => {
    if (gone) drafts.clear();
  }, [drafts, gone]);

  useEffect(() => signIn.onSignedOut(() => {
    client.close();
    setLeft(true);
  }), [client, signIn]);

  // The sign-in is no longer valid, and this window keeps no data of the person.
  useEffect(() => {
    if (!ended) return;
    leaving.current = true;
    drafts.clear();
    signIn.end().catch((error: unknown) => setFault(said(error)));
  }, [drafts, ended, signIn]);

  useEffect(() => {
    document.title = ended ? "Carrel" : `${title} – Carrel`;
  }, [ended, title]);

  useEffect(() => {
    if (drawer) page.current?.querySelector<HTMLElement>("nav button")?.focus();
  }, [drawer]);

  const open = (id: string): void => {
    showList(false);
    location.hash = addressOf(id);
    requestAnimationFrame(focusComposer);
  };
  const closeDrawer = (): void => {
    showList(false);
    page.current?.querySelector<HTMLElement>(".menu")?.focus();
  };
  const key = ({ key: pressed }: KeyboardEvent): void => {
    if (pressed === "Escape" && drawer) closeDrawer();
  };
  const skip = (event: MouseEvent): void => {
    event.preventDefault(); // the address names the thread
    page.current?.querySelector<HTMLElement>(".composer textarea")?.focus();
  };
  const signInAgain = (): void => {
    signIn.start().catch((error: unknown) => setFault(`The sign-in page cannot be reached, try again: ${said(error)}`));
  };
  const signInAnew = (goal?: Goal): void => {
    signIn.anew(goal).catch((error: unknown) => setFault(`The sign-in page cannot be reached, try again: ${said(error)}`));
  };
  const signOut = (): void => {
    drafts.clear();
    leaving.current = true;
    signIn.out().catch((error: unknown) => {
      leaving.current = false;
      setFault(`Signing out did not work, try again: ${said(error)}`);
    });
  };
  const closeDialog = (): void => {
    ask(undefined);
    page.current?.querySelector<HTMLElement>(phone ? ".menu" : ".your-runs")?.focus();
  };
  const show = (what: "runs" | "erase" | "signOut"): void => {
    showList(false);
    ask(what);
  };
  if (ended) return <SignedOut fault={fault} onSignIn={() => signInAnew()} />;
  if (gone) return <Gone client={client} state={state} onSignOut={signOut} />;
  return (
    <div ref={page} className={drawer ? "page drawer" : "page"} onKeyDown={key}>
      {state.thread && !state.thread.deleted && <a className="skip" href="#message" onClick={skip}>Skip to the message box</a>}
      <header>
        <button className="menu" aria-expanded={listShown} aria-controls="threads" onClick={() => (drawer ? closeDrawer() : showList(true))}>Threads</button>
        <h1>Carrel</h1>
        <Connection state={state} />
        <span className="who" title={person.name}>{person.name}</span>
        <button onClick={signOut}>Sign out</button>
      </header>
      <Threads client={client} state={state} openId={threadId} onOpen={open} onNew={() => open(client.newThread())} onRuns={() => show("runs")} onFault={setFault} />
      {drawer && <button className="curtain" aria-label="Close the list of threads" tabIndex={-1} onClick={closeDrawer} />}
      {asked === "runs" && (
        <Runs client={client} state={state} onOpen={(id) => { ask(undefined); open(id); }} onSignOut={() => show("signOut")} onErase={() => show("erase")} onClose={closeDialog} />
      )}
      {asked === "erase" && <Erase client={client} again={signIn.goal === "erase"} onSignIn={signInAnew} onClose={closeDialog} />}
      {asked === "signOut" && <SignOutEverywhere client={client} onClose={closeDialog} />}
      <main>
        <div className="content" inert={drawer}>
          <h2 className="unseen" tabIndex={-1}>{title}</h2>
          <Troubles client={client} state={state} fault={fault} signedOut={signIn.over} onSeen={() => setFault(undefined)} onSignIn={signInAgain} />
          {state.thread?.deleted
            ? <div className="empty"><p>This thread was deleted.</p><button onClick={() => open(client.newThread())}>New thread</button></div>
            : state.thread && (
              <Otherwise key={threadId} show={<div className="empty" role="alert"><p>This thread holds something that this page cannot show. Open another, or reload the page.</p></div>}>
                <Conversation client={client} thread={state.thread} agents={state.agents} drafts={drafts} phone={phone} onFault={setFault} />
              </Otherwise>
            )}
        </div>
      </main>
    </div>
  );
}

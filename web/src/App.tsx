import { useEffect, useState, useSyncExternalStore } from "react";
import type { CarrelClient, ClientState } from "carrel-client";
import { addressOf, threadInAddress } from "./address.ts";
import { Conversation } from "./Conversation.tsx";
import { Threads } from "./Threads.tsx";
import type { SignIn } from "./signin.ts";

interface Props {
  readonly client: CarrelClient;
  readonly signIn: SignIn;
  readonly name: string;
}

/** The page of somebody who is signed in. */
export function App({ client, signIn, name }: Props) {
  const state = useSyncExternalStore(client.subscribe, () => client.state);
  const [fault, setFault] = useState<string>();
  const [listShown, showList] = useState(false);
  const threadId = state.thread?.threadId;

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

  // What happened to threads while there was no connection is told by the list alone.
  useEffect(() => {
    if (state.status === "ready") client.threads().catch((error: unknown) => setFault(String(error)));
  }, [client, state.status]);

  const open = (id: string): void => {
    showList(false);
    location.hash = addressOf(id);
  };
  return (
    <div className={listShown ? "page list-shown" : "page"}>
      <header>
        <button className="menu" aria-expanded={listShown} onClick={() => showList(!listShown)}>Threads</button>
        <h1>Carrel</h1>
        <span role="status" aria-label="Connection" className={`status ${state.status}`}>{spoken(state)}</span>
        <span className="who">{name}</span>
        <button onClick={() => void signIn.out()}>Sign out</button>
      </header>
      <Threads client={client} state={state} openId={threadId} onOpen={open} onNew={() => open(client.newThread())} onFault={setFault} />
      <main>
        <Troubles state={state} fault={fault} onSeen={() => { setFault(undefined); client.dismiss(); }} signIn={signIn} />
        {state.status === "replaced" && <button onClick={() => client.connect()}>Use this window</button>}
        {state.thread && <Conversation key={threadId} client={client} thread={state.thread} onFault={setFault} />}
      </main>
    </div>
  );
}

interface TroublesProps {
  readonly state: ClientState;
  readonly fault: string | undefined;
  readonly onSeen: () => void;
  readonly signIn: SignIn;
}

/** What went wrong, as sentences. */
function Troubles({ state, fault, onSeen, signIn }: TroublesProps) {
  const all = [...state.notices.map((notice) => notice.message), state.fault, fault].filter((text) => text !== undefined);
  if (all.length === 0) return null;
  return (
    <div className="troubles" role="alert">
      {all.map((text, index) => <p key={index}>{text}</p>)}
      <button onClick={onSeen}>Dismiss</button>
      {state.fault !== undefined && <button onClick={() => void signIn.start()}>Sign in again</button>}
    </div>
  );
}

function spoken({ status }: ClientState): string {
  switch (status) {
    case "ready": return "Connected";
    case "connecting": return "Connecting";
    case "lost": return "Reconnecting";
    case "replaced": return "In use elsewhere";
    case "closed": return "Not connected";
  }
}

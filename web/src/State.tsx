import type { CarrelClient, ClientState } from "carrel-client";
import { focusComposer } from "./phone.ts";
import { Wait } from "./Wait.tsx";

/** The state of the connection, announced when it changes. */
export function Connection({ state }: { readonly state: ClientState }) {
  return (
    <span role="status" aria-label="Connection" className={`status ${state.status}`}>
      <span className="dot" aria-hidden="true" />{spoken(state)}
    </span>
  );
}

function spoken({ status }: ClientState): string {
  switch (status) {
    case "ready": return "Connected";
    case "connecting": return "Connecting";
    case "lost": return "Reconnecting";
    case "replaced": return "In use elsewhere";
    case "erasing": case "closed": case "signedOut": return "Not connected";
  }
}

interface Props {
  readonly client: CarrelClient;
  readonly state: ClientState;
  readonly fault: string | undefined;
  readonly signedOut: boolean;
  readonly onSeen: () => void;
  readonly onSignIn: () => void;
}

/** The reason why the client cannot connect, with the remedy. */
export function Troubles({ client, state, fault, signedOut, onSeen, onSignIn }: Props) {
  const until = state.notices.findLast(({ retryAt }) => retryAt !== undefined)?.retryAt;
  const refused = [...state.notices.map((notice) => notice.message), fault].filter((text) => text !== undefined);
  const seen = (): void => {
    onSeen();
    client.dismiss();
    focusComposer();
  };
  return (
    <>
      <Hindrance client={client} state={state} signedOut={signedOut} onSignIn={onSignIn} />
      <Progress state={state} />
      {refused.length > 0 && (
        <div className="trouble bad" role="alert">
          <div>{refused.map((text, index) => <p key={index}>{text}</p>)}</div>
          <button onClick={seen}>Dismiss</button>
        </div>
      )}
      {until !== undefined && <div className="trouble"><Wait key={until} until={until} /></div>}
    </>
  );
}

/** With more missing steps than this, the page shows its progress. */
const NOTICED = 100;

/** Shows how much of the thread is still loading, and which part is no longer stored. */
function Progress({ state: { status, thread } }: { readonly state: ClientState }) {
  const missing = status === "ready" ? thread?.gap ?? 0 : 0;
  if (missing < NOTICED && !thread?.truncated) return null;
  return (
    <div className="trouble" role="status">
      {missing >= NOTICED && <p>Catching up: {missing} steps to go.</p>}
      {thread?.truncated && <p>Some details of what happened meanwhile are no longer kept. The messages are all here.</p>}
    </div>
  );
}

/** The reason why the client is offline. */
function Hindrance({ client, state, signedOut, onSignIn }: Omit<Props, "fault" | "onSeen">) {
  if (signedOut) {
    return (
      <div className="trouble bad" role="alert">
        <p>You are signed out: your sign-in has expired. Sign in again to go on. What you have written is kept.</p>
        <button onClick={onSignIn}>Sign in again</button>
      </div>
    );
  }
  if (state.status === "replaced") {
    return (
      <div className="trouble" role="alert">
        <p>Carrel is open in too many windows, so this one was let go.</p>
        <button onClick={() => client.connect()}>Use this window</button>
      </div>
    );
  }
  if (state.status === "lost" || (state.fault !== undefined && state.status !== "ready")) {
    return (
      <div className="trouble" role="status">
        <p>{state.fault ?? "You are offline."} Reconnecting by itself. What you send now is sent when there is one again. If this lasts, sign in again.</p>
        <button onClick={() => client.connect()}>Try now</button>
        <button onClick={onSignIn}>Sign in again</button>
      </div>
    );
  }
  return state.fault === undefined ? null : <div className="trouble bad" role="alert"><p>{state.fault} Reload the page if it does not recover.</p></div>;
}

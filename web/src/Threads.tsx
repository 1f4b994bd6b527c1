import type { CarrelClient, ClientState } from "carrel-client";

interface Props {
  readonly client: CarrelClient;
  readonly state: ClientState;
  readonly openId: string | undefined;
  readonly onOpen: (threadId: string) => void;
  readonly onNew: () => void;
  readonly onFault: (fault: string) => void;
}

/** The user's threads, newest first. */
export function Threads({ client, state, openId, onOpen, onNew, onFault }: Props) {
  const oldest = state.threads.at(-1)?.threadId;
  const older = (): void => {
    client.threads(oldest).catch((error: unknown) => onFault(String(error)));
  };
  return (
    <nav aria-label="Threads">
      <button onClick={onNew}>New thread</button>
      <ul>
        {state.threads.map(({ threadId, title, status }) => (
          <li key={threadId}>
            <button aria-current={threadId === openId} onClick={() => onOpen(threadId)}>
              {title || "Untitled"}
              {status === "running" && <span className="running" role="img" aria-label="running"> ●</span>}
            </button>
          </li>
        ))}
      </ul>
      {state.moreThreads && <button onClick={older}>Show older threads</button>}
    </nav>
  );
}

import { useCallback, useEffect, useRef, useState } from "react";
import { visibleLine } from "./asked.ts";
import type { CarrelClient, ClientState, RunInfo } from "carrel-client";
import { isLive, putPage, ranFor, statusWord, used } from "./runs.ts";
import type { Rows } from "./runs.ts";
import { said } from "./said.ts";

interface Props {
  readonly client: CarrelClient;
  readonly state: ClientState;
  readonly onOpen: (threadId: string) => void;
  readonly onSignOut: () => void;
  readonly onErase: () => void;
  readonly onClose: () => void;
}

/** All runs of the user: those that go on, with the way to stop them, and those that have ended. */
export function Runs({ client, state, onOpen, onSignOut, onErase, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { known, asking, fault, stopping, older, stop } = useRuns(client, state);
  const now = useClock(known?.rows.some((run) => run.status === "running") ?? false);
  const gone = useRef(false);
  useEffect(() => dialog.current?.showModal(), []);
  const leave = (then: () => void): void => {
    gone.current = true;
    dialog.current?.close();
    then();
  };
  const live = known?.rows.filter(isLive).length ?? 0;
  return (
    <dialog ref={dialog} className="runs" aria-label="Your runs" onClose={() => { if (!gone.current) onClose(); }} onKeyDown={(event) => event.stopPropagation()}>
      <div className="runs-head">
        <h2>Your runs</h2>
        <button onClick={() => dialog.current?.close()}>Close</button>
      </div>
      <p role="status" className="caption">{known === undefined ? "Loading" : live === 0 ? "Nothing is running." : `${live} running or queued`}</p>
      {fault && <p role="alert" className="failure">{fault}</p>}
      <ul>
        {known?.rows.map((run) => (
          <Run key={run.runId} run={run} now={now} title={state.threads.find((row) => row.threadId === run.threadId)?.title ?? ""}
            stopping={stopping.has(run.runId)} onOpen={() => leave(() => onOpen(run.threadId))} onStop={() => stop(run.runId)} />
        ))}
      </ul>
      {known?.rows.length === 0 && <p className="caption">You have had no runs in the last 90 days.</p>}
      {known?.before !== undefined && <button className="older" disabled={asking} onClick={older}>{asking ? "Fetching older runs" : "Older runs"}</button>}
      <button className="everywhere" onClick={() => leave(onSignOut)}>Sign out everywhere</button>
      <button className="erase" onClick={() => leave(onErase)}>Delete all my data</button>
    </dialog>
  );
}

interface RunProps {
  readonly run: RunInfo;
  readonly now: number;
  readonly title: string;
  readonly stopping: boolean;
  readonly onOpen: () => void;
  readonly onStop: () => void;
}

function Run({ run, now, title: written, stopping, onOpen, onStop }: RunProps) {
  const title = visibleLine(written || "A thread without a title");
  const ran = ranFor(run, now);
  const began = run.started ?? run.created;
  return (
    <li className="run">
      <button className="run-title" onClick={onOpen}>{title}</button>
      <span className={`run-status ${run.status}`}>{statusWord(run)}</span>
      <p className="caption">
        {began !== undefined && <time dateTime={new Date(began).toISOString()}>{new Date(began).toLocaleString()}</time>}
        {ran !== undefined && `, ${run.ended === undefined ? "for" : "took"} ${ran}`}
        {(run.attempts ?? 0) > 1 && `, attempt ${run.attempts}`}
        {run.agent && `, agent ${visibleLine(run.agent)}`}
      </p>
      {run.stats && <p className="caption">{used(run.stats)}</p>}
      {isLive(run) && <button aria-label={`Stop the run in ${title}`} disabled={stopping} onClick={onStop}>{stopping ? "Stopping" : "Stop"}</button>}
    </li>
  );
}

/** The rows, asked for again whenever the list of threads tells that a run began or ended. */
function useRuns(client: CarrelClient, { threads, status }: ClientState) {
  const [known, know] = useState<Rows>();
  const [asking, ask] = useState(false);
  const [fault, setFault] = useState<string>();
  const [stopping, setStopping] = useState<ReadonlySet<string>>(new Set());
  const page = useCallback((before?: string): Promise<void> => client.runs(before).then(
    (got) => {
      know((had) => putPage(had, got, before));
      setFault(undefined);
    },
    (error: unknown) => setFault(`The runs cannot be listed: ${said(error)}`),
  ), [client]);
  useEffect(() => {
    if (status === "ready") void page();
  }, [page, threads, status]);
  const older = (): void => {
    ask(true);
    void page(known?.before).finally(() => ask(false));
  };
  const stop = (runId: string): void => {
    setStopping(new Set([...stopping, runId]));
    client.cancel(runId).then(() => page(), (error: unknown) => {
      setStopping((all) => new Set([...all].filter((one) => one !== runId)));
      setFault(`It could not be stopped: ${said(error)}`);
    });
  };
  return { known, asking, fault, stopping, older, stop };
}

/** The time, each second while something runs. */
function useClock(ticks: boolean): number {
  const [now, tick] = useState(Date.now);
  useEffect(() => {
    if (!ticks) return;
    const timer = setInterval(() => tick(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [ticks]);
  return now;
}

import type { CallProgress, MissingSource } from "carrel-client";
import { visibleLine } from "./asked.ts";

/** How far a running call is, beside its name. The texts are the tool's own words. */
export function Progress({ name, progress: { done, total, message } }: { readonly name: string; readonly progress: CallProgress }) {
  const share = total === undefined ? undefined : Math.min(1, Math.max(0, done / total));
  return (
    <div className="progress">
      <progress aria-label={`Progress of ${name}`} {...(share !== undefined && { value: share })} />
      <span>{share === undefined ? amount(done) : `${Math.floor(share * 100)} %`}</span>
      {message !== undefined && <span className="says">{visibleLine(message)}</span>}
    </div>
  );
}

function amount(done: number): string {
  return done > 0 ? done.toLocaleString([], { maximumFractionDigits: 1 }) : "";
}

/** Names the servers whose tools the last run lacks. */
export function Sources({ sources }: { readonly sources: readonly MissingSource[] }) {
  if (sources.length === 0) return null;
  return (
    <div role="status" className="ending caption">
      {sources.map(({ server, state }) => (
        <p key={server}>The tools of {visibleLine(server)} are missing from this answer: {state === "late" ? "the server did not answer in time" : "the server cannot be reached"}.</p>
      ))}
    </div>
  );
}

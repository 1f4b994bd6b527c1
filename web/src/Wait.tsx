import { useEffect, useState } from "react";
import { duration } from "./runs.ts";

/** Counts down until something may be tried again; `until` is a time of performance.now. It is not spoken each second: the refusal was. */
export function Wait({ until }: { readonly until: number }) {
  const [now, tick] = useState(() => performance.now());
  const left = Math.max(0, Math.ceil((until - now) / 1000));
  useEffect(() => {
    if (left === 0) return;
    const timer = setTimeout(() => tick(performance.now()), 250);
    return () => clearTimeout(timer);
  });
  if (left === 0) return <p role="status">You can send again now.</p>;
  return <p role="timer">You can send again in {left < 10 ? `${left} s` : duration(left * 1000)}.</p>;
}

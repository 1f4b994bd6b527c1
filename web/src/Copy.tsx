import { useEffect, useState } from "react";

interface Props {
  readonly what: string;
  readonly text: () => string;
}

const SHOWN_MS = 3000;

/** Copies a text, and says whether that worked. */
export function Copy({ what, text }: Props) {
  const [said, say] = useState("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => say(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = (): void => {
    // A page that came by plain http from another machine has no clipboard.
    const write = navigator.clipboard?.writeText(text()) ?? Promise.reject(new Error("no clipboard"));
    write.then(() => say("Copied"), () => say("Not permitted: select the text"));
  };
  return (
    <span className="copy">
      <button type="button" aria-label={`Copy ${what}`} onClick={copy}>Copy</button>
      <span role="status">{said}</span>
    </span>
  );
}

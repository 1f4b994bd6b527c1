import { useSyncExternalStore } from "react";

/** As in style.css: below this the list of threads is a drawer. */
const NARROW = "(max-width: 40rem)";

export function usePhone(): boolean {
  return useSyncExternalStore(subscribe, () => matchMedia(NARROW).matches);
}

function subscribe(changed: () => void): () => void {
  const narrow = matchMedia(NARROW);
  narrow.addEventListener("change", changed);
  return () => narrow.removeEventListener("change", changed);
}

/** Puts the focus where the next message is written; not with a finger, which would bring up the keyboard. */
export function focusComposer(): void {
  const to = matchMedia("(pointer: coarse)").matches ? "main h2" : ".composer textarea";
  document.querySelector<HTMLElement>(to)?.focus();
}

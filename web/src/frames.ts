import { useCallback, useSyncExternalStore } from "react";
import type { CarrelClient, ClientState } from "carrel-client";

/** The client's state, read at most once per frame of the screen, because a replay arrives in hundreds of pieces at once. */
export function useClientState(client: CarrelClient): ClientState {
  const subscribe = useCallback((changed: () => void): (() => void) => {
    let frame: number | undefined;
    const show = (): void => {
      frame = undefined;
      changed();
    };
    const unsubscribe = client.subscribe(() => {
      // The browser draws no frames for a hidden page.
      if (document.hidden) changed();
      else frame ??= requestAnimationFrame(show);
    });
    return () => {
      unsubscribe();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [client]);
  return useSyncExternalStore(subscribe, () => client.state);
}

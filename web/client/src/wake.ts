/** Calls back when the page becomes visible or the network returns, if there is a page. Returns a function that stops it. */
export function watchPage(wake: () => void): () => void {
  if (typeof document === "undefined" || typeof window === "undefined") return () => {};
  const visible = (): void => {
    if (document.visibilityState === "visible") wake();
  };
  document.addEventListener("visibilitychange", visible);
  window.addEventListener("online", wake);
  return () => {
    document.removeEventListener("visibilitychange", visible);
    window.removeEventListener("online", wake);
  };
}

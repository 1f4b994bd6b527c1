/**
 * What a person has written and not sent, by thread. It lives as long as the window does, so that a reload or another
 * sign-in loses none of it, and it is one user's: the next one does not find it.
 */
export class Drafts {
  readonly #prefix: string;

  constructor(user: string) {
    this.#prefix = `carrel.draft.${user}.`;
  }

  get(threadId: string): string {
    return sessionStorage.getItem(this.#prefix + threadId) ?? "";
  }

  put(threadId: string, text: string): void {
    try {
      if (text === "") sessionStorage.removeItem(this.#prefix + threadId);
      else sessionStorage.setItem(this.#prefix + threadId, text);
    } catch {
      // The browser's storage is full: the text is in the composer still, and only a reload would lose it.
    }
  }

  /** Forgets all of them: the user leaves. */
  clear(): void {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(this.#prefix)) sessionStorage.removeItem(key);
  }
}

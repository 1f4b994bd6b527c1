/** Of all drafts, whoever wrote them. */
const ALL = "carrel.draft.";

/**
 * What a person has written and not sent, by thread. It lives as long as the window does, so that a reload or another
 * sign-in loses none of it, and it is one user's: those of anybody else are gone once the next one has signed in.
 */
export class Drafts {
  readonly #prefix: string;

  constructor(user: string) {
    // Encoded: a thread's id may hold a dot or a colon, and no user's keys may begin as another's.
    this.#prefix = `${ALL}${encodeURIComponent(user)}/`;
    this.#drop((key) => !key.startsWith(this.#prefix));
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
    this.#drop(() => true);
  }

  #drop(which: (key: string) => boolean): void {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(ALL) && which(key)) sessionStorage.removeItem(key);
  }
}

/** Begins the key of every draft, of every user. */
const ALL = "carrel.draft.";

/** The text field of a thread. */
interface Composer {
  getState(): { readonly text: string };
  setText(text: string): void;
  subscribe(changed: () => void): () => void;
}

/**
 * The unsent text of a user, by thread. Drafts live as long as the window, so a reload or a new sign-in of the same user
 * loses none. They belong to one user: when another user signs in, they are removed.
 */
export class Drafts {
  readonly #prefix: string;

  constructor(user: string) {
    // The user's id is encoded, so that no user's keys begin like those of another user.
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
      // The browser's storage is full. The text stays in the composer, and only a reload would lose it.
    }
  }

  /**
   * Puts a thread's draft into its composer, and keeps each later text of the composer. Returns a function that ends this. A
   * notice of the composer without another text changes nothing: one may follow the page's last event, which has kept the
   * unsent messages as a draft.
   */
  bind(threadId: string, composer: Composer): () => void {
    let last = this.get(threadId);
    if (last) composer.setText(last);
    return composer.subscribe(() => {
      const { text } = composer.getState();
      if (text === last) return;
      last = text;
      this.put(threadId, text);
    });
  }

  /** Removes all drafts, when the user signs out. */
  clear(): void {
    this.#drop(() => true);
  }

  #drop(which: (key: string) => boolean): void {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(ALL) && which(key)) sessionStorage.removeItem(key);
  }
}

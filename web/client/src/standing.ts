import type { Status } from "./port.ts";

/** Where a connection stands, and whether it may come back by itself. */
export class Standing {
  #status: Status = "connecting";
  #erased = false;

  get status(): Status {
    return this.#status;
  }

  /** The user's things are being erased, or were. */
  get gone(): boolean {
    return this.#status === "closing" || this.#status === "erased";
  }

  /** Nothing but a person brings the connection back. */
  get stays(): boolean {
    return this.#status === "replaced" || this.gone;
  }

  is(status: "connecting" | "lost" | "replaced"): void {
    this.#status = status;
  }

  ready(): void {
    this.#status = "ready";
    this.#erased = false;
  }

  /** What was erased once is not called closing again. */
  closing(erased: boolean): void {
    this.#erased ||= erased;
    this.#status = this.#erased ? "erased" : "closing";
  }
}

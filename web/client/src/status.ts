import type { Status } from "./port.ts";

/** The status of the connection, and whether the client may reconnect without a person. */
export class ConnectionStatus {
  status: Status = "connecting";
  /** An erase was accepted on this socket: nothing more is sent, and what comes is its done. */
  erasing = false;
  /** All that the user had is erased, as a done said. */
  erased = false;
  /** The progress of an erasure, until the next ready. */
  erasure: "erasing" | "erased" | undefined;

  /** The client opens no socket until a person acts. */
  get awaitsPerson(): boolean {
    return this.status === "replaced" || this.status === "erasing" || this.signedOut;
  }

  /** The sessions were ended: what a person asks would be refused. */
  get signedOut(): boolean {
    return this.status === "signedOut";
  }

  connected(): void {
    this.status = "connecting";
    this.erasing = this.erased = false;
  }

  ready(): void {
    this.status = "ready";
    this.erasure = undefined;
  }

  lost(): void {
    if (this.erasing) this.status = "erasing";
    else if (!this.awaitsPerson) this.status = "lost";
  }

  /** A person has used the client: false if that changes nothing. */
  used(): boolean {
    if (!this.awaitsPerson || this.signedOut) return false;
    this.status = "lost";
    this.erasing = this.erased = false;
    return true;
  }

  eraseAccepted(): void {
    this.erasing = true;
    this.erasure = "erasing";
  }

  closed(erased: boolean): void {
    this.status = "erasing";
    this.erased = erased;
    if (this.erasure !== "erased") this.erasure = erased ? "erased" : "erasing";
  }
}

import type { Status } from "./port.ts";

/** The status of the connection, and whether the client may reconnect without an action of the user. */
export class ConnectionStatus {
  status: Status = "connecting";
  /** An erase was accepted on this socket: the client sends nothing more, and waits for done. */
  erasing = false;
  /** done has reported that all data of the user is erased. */
  erased = false;
  /** The progress of an erasure, until the next ready. */
  erasure: "erasing" | "erased" | undefined;

  /** The client opens no socket until the user acts. */
  get awaitsPerson(): boolean {
    return this.status === "replaced" || this.status === "erasing" || this.signedOut;
  }

  /** The user's sessions were ended: the server would refuse all requests. */
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

  /** The user has used the client. Returns false if that changes nothing. */
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

import type { Status } from "./port.ts";

/** Where a connection stands, and whether it may come back by itself. */
export class Standing {
  status: Status = "connecting";
  /** A forget was accepted on this socket: nothing more is sent, and what comes is its done. */
  forgetting = false;
  /** All that the user had is erased, as a done said. */
  erased = false;
  /** What was learned of the user's things going, until a server is ready for the user again. */
  gone: "closing" | "erased" | undefined;

  /** Nothing but a person brings the connection back. */
  get stays(): boolean {
    return this.status === "replaced" || this.status === "closing" || this.signedOut;
  }

  /** The sessions were ended: what a person asks would be refused. */
  get signedOut(): boolean {
    return this.status === "signedOut";
  }

  connected(): void {
    this.status = "connecting";
    this.forgetting = this.erased = false;
  }

  ready(): void {
    this.status = "ready";
    this.gone = undefined;
  }

  lost(): void {
    if (this.forgetting) this.status = "closing";
    else if (!this.stays) this.status = "lost";
  }

  /** A person has used the client: false if that changes nothing. */
  used(): boolean {
    if (!this.stays || this.signedOut) return false;
    this.status = "lost";
    this.forgetting = this.erased = false;
    return true;
  }

  forgets(): void {
    this.forgetting = true;
    this.gone = "closing";
  }

  closed(erased: boolean): void {
    this.status = "closing";
    this.erased = erased;
    if (this.gone !== "erased") this.gone = erased ? "erased" : "closing";
  }
}

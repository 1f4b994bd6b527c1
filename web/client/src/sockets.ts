import type { CarrelOptions, Socket } from "./contract.ts";
import { BEARER_PREFIX, SUBPROTOCOL } from "./protocol.ts";

/** How long getting a token and opening a socket may take together, in ms: some networks never report a failure. */
const OPEN_WITHIN = 15_000;

/** The events of the sockets. `next` is the socket that will replace the one in use. */
export interface OnSocket {
  /** The next socket is open. If no socket was in use, it is in use now. */
  readonly opened: (next: boolean) => void;
  readonly heard: (data: unknown, next: boolean) => void;
  /** The socket in use is lost. */
  readonly lost: () => void;
  /** The next socket could not be opened, or is lost; why is the reason for the user, if known. */
  readonly failed: (why: string | undefined) => void;
}

/** The socket in use, and the next one while it is opened or not in use yet. */
export class Sockets {
  readonly #options: Required<Pick<CarrelOptions, "url" | "token" | "socket">>;
  readonly #on: OnSocket;
  #inUse: Socket | undefined;
  #next: Socket | undefined;
  #attempt = 0;
  #late: ReturnType<typeof setTimeout> | undefined;

  constructor(options: Required<Pick<CarrelOptions, "url" | "token" | "socket">>, on: OnSocket) {
    this.#options = options;
    this.#on = on;
  }

  send(text: string): void {
    this.#inUse?.send(text);
  }

  /** Sends on the next socket. */
  sendNext(text: string): void {
    this.#next?.send(text);
  }

  /** Opens the next socket with a new token. It replaces an attempt in progress. */
  async connect(): Promise<void> {
    this.decline();
    const attempt = this.#attempt;
    this.#late = setTimeout(() => this.#fail("The server does not answer."), OPEN_WITHIN);
    let token: string;
    try {
      token = await this.#options.token();
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(`Signing in failed: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    if (attempt === this.#attempt) this.#open(token);
  }

  /** The next socket is in use from now on; the last one is closed. */
  promote(): void {
    const old = this.#inUse;
    this.#inUse = this.#next;
    this.#next = undefined;
    drop(old);
  }

  /** Ends the attempt for the next socket. */
  decline(): void {
    this.#attempt++;
    clearTimeout(this.#late);
    drop(this.#next);
    this.#next = undefined;
  }

  /** Closes the socket in use. */
  close(): void {
    drop(this.#inUse);
    this.#inUse = undefined;
  }

  #open(token: string): void {
    let socket: Socket;
    try {
      socket = this.#options.socket(this.#options.url, [SUBPROTOCOL, BEARER_PREFIX + token]);
    } catch (error) { // for example a wrong address, or a runtime without WebSocket
      return this.#fail(`No socket can be opened: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#next = socket;
    socket.onopen = () => this.#opened();
    socket.onclose = () => this.#closed(socket);
    socket.onmessage = ({ data }) => this.#on.heard(data, socket === this.#next);
  }

  #opened(): void {
    clearTimeout(this.#late);
    const next = this.#inUse !== undefined;
    if (!next) this.promote();
    this.#on.opened(next);
  }

  #closed(socket: Socket): void {
    if (socket === this.#next) return this.#fail(undefined);
    this.#inUse = undefined;
    this.#on.lost();
  }

  #fail(why: string | undefined): void {
    this.decline();
    this.#on.failed(why);
  }
}

/** Closes a socket and ignores its further events. */
function drop(socket: Socket | undefined): void {
  if (!socket) return;
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
}

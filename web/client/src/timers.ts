const GAP_FIRST = 250;
const GAP_MOST = 5_000;
const ANSWER_WITHIN = 10_000;
const PING_BUSY = 15_000;
const PING_IDLE = 5 * 60_000;
const REPEAT_FIRST = 500;
const BACKOFF_FIRST = 1_000;
const BACKOFF_MOST = 20_000;

/** The pause before a handover that is due at once, doubled each time: a wrong clock must not cause a loop of handovers. */
const HANDOVER_SOONEST = 30_000;
const HANDOVER_RARELY = 3_600_000;
/** The longest pause that a server can demand: its wrong clock must not keep a client away forever. */
const RETRY_AFTER_MOST = 3_600_000;

export type Due = "lost" | "connect" | "repeat" | "gap" | "ping";

/** The timers of a view. All times are in ms. */
export class Timers {
  readonly #random: () => number;
  online = false;
  #connect: number | undefined;
  #attempts = 0;
  /** Until then the server refuses sockets. */
  #refusedUntil = 0;
  #hello: { n: number; at: number } | undefined;
  #ping: { at: number; all: boolean } | undefined;
  /** The time of the last ready, pong or ping, and since when the thread has a run. */
  #heard = 0;
  #quiet = false;
  #busySince: number | undefined;
  /** A socket is being opened. */
  #opening = false;
  #gap: number | undefined;
  #gapDelay = GAP_FIRST;
  /** While there is a gap: when it began, or when the last frame arrived that may close it. */
  #stirred: number | undefined;
  /** This socket has received no ready yet. */
  #fresh = true;
  #soonest = HANDOVER_SOONEST;
  #repeat: number | undefined;
  #repeatDelay = REPEAT_FIRST;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Whether a socket is being opened, or is open without an answer. */
  get opening(): boolean {
    return this.#opening;
  }

  /** Whether a hello has no answer yet. */
  get helloPending(): boolean {
    return this.#hello !== undefined;
  }

  get pinging(): boolean {
    return this.#ping !== undefined;
  }

  get mayPing(): boolean {
    return !this.helloPending && !this.pinging;
  }

  due(...others: (number | undefined)[]): number | undefined {
    const times = [this.#connect, ...others];
    if (this.online && !this.#quiet) {
      times.push(this.#answerBy(), this.#gap, this.#repeat);
      if (this.mayPing) times.push(this.#pingAt());
    }
    const set = times.filter((t) => t !== undefined);
    return set.length ? Math.min(...set) : undefined;
  }

  /** Returns the due timers and resets them. */
  take(now: number): Set<Due> {
    const due = new Set<Due>();
    const isDue = (t: number | undefined): boolean => t !== undefined && t <= now;
    if (isDue(this.#connect)) {
      this.#connect = undefined;
      this.#opening = true;
      due.add("connect");
    }
    if (!this.online || this.#quiet) return due;
    if (isDue(this.#answerBy())) return due.add("lost");
    if (isDue(this.#repeat)) {
      this.#repeat = undefined;
      this.#repeatDelay = Math.min(this.#repeatDelay * 2, BACKOFF_MOST);
      due.add("repeat");
    }
    if (isDue(this.#gap)) {
      this.#gap = undefined;
      this.#gapDelay = Math.min(this.#gapDelay * 2, GAP_MOST);
      due.add("gap");
    }
    if (this.mayPing && isDue(this.#pingAt())) due.add("ping");
    return due;
  }

  connectAt(now: number): void {
    if (!this.online) this.#connect = Math.max(now, this.#refusedUntil);
  }

  /** Schedules another attempt while this socket is in use. It has a pause even if the random number is 0: the issuer of tokens may be down. */
  renewLater(now: number): void {
    this.#opening = false;
    this.#connect = Math.max(now, this.#refusedUntil) + Math.max(BACKOFF_FIRST, this.#pause());
  }

  stop(): void {
    this.#opening = false;
    this.#connect = undefined;
  }

  /** Stops all timers of this socket: the client sends nothing more on it. */
  settled(): void {
    this.#connect = this.#gap = this.#repeat = this.#hello = this.#ping = undefined;
    this.#quiet = true;
  }

  connected(now: number): void {
    this.online = true;
    this.#opening = this.#quiet = false;
    this.#fresh = true;
    this.#connect = this.#gap = this.#repeat = this.#hello = this.#ping = this.#stirred = undefined;
    this.#gapDelay = GAP_FIRST;
    this.#repeatDelay = REPEAT_FIRST;
    this.#heard = now;
  }

  /** The socket is lost. An attempt to open the next one continues. */
  lost(now: number): void {
    this.online = false;
    if (!this.#opening) this.#retry(now);
  }

  /** An attempt has failed while there is no socket. */
  refused(now: number): void {
    this.#opening = false;
    this.#retry(now);
  }

  #retry(now: number): void {
    this.#connect = Math.max(now, this.#refusedUntil) + this.#pause();
  }

  /** The pause before an attempt, with full jitter from the first one on: often many clients lose their sockets at once. */
  #pause(): number {
    return this.#random() * Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.#attempts++);
  }

  helloed(n: number, now: number): void {
    this.#hello = { n, at: now };
    this.#gap = undefined;
  }

  readied(n: number, now: number, reconnectInMs: number | undefined): void {
    if (this.#hello && n >= this.#hello.n) this.#hello = undefined;
    this.#attempts = 0;
    this.#heard = now;
    if (this.#stirred !== undefined) this.#stirred = now;
    if (this.#fresh && reconnectInMs) this.#scheduleHandover(now, reconnectInMs);
    this.#fresh = false;
  }

  #scheduleHandover(now: number, wait: number): void {
    const early = wait < this.#soonest;
    this.#connect = now + (early ? this.#soonest : wait);
    this.#soonest = early ? Math.min(HANDOVER_RARELY, this.#soonest * 2) : HANDOVER_SOONEST;
  }

  /** A ping was sent. all: no request was unanswered at that time. */
  pinged(now: number, all: boolean): void {
    this.#ping = { at: now, all };
    this.#heard = now;
  }

  /** A pong arrived. Returns true if a request was unanswered when the ping was sent: its answer may be lost. */
  ponged(now: number): boolean {
    const lost = this.#ping?.all === false;
    this.#ping = undefined;
    this.#heard = now;
    return lost;
  }

  busy(busy: boolean, now: number): void {
    this.#busySince = busy ? this.#busySince ?? now : undefined;
  }

  gap(gap: boolean, now: number): void {
    if (!gap) {
      this.#gap = this.#stirred = undefined;
      this.#gapDelay = GAP_FIRST;
      return;
    }
    this.#stirred ??= now;
    if (this.#gap === undefined && !this.helloPending) this.#gap = now + this.#gapDelay;
  }

  /** Events were applied. After slow progress the next pause is longer, else each pause of a long replay would request another replay. */
  progress(now: number): void {
    this.#wait(now, this.#patience(now));
  }

  /** A part of a frame arrived. */
  parted(now: number): void {
    this.#wait(now, Math.max(this.#gapDelay, this.#patience(now)));
  }

  #patience(now: number): number {
    return Math.min(GAP_MOST, Math.max(GAP_FIRST, 2 * (now - (this.#stirred ?? now))));
  }

  #wait(now: number, delay: number): void {
    this.#gapDelay = delay;
    if (this.#stirred !== undefined) this.#stirred = now;
    if (this.#gap !== undefined) this.#gap = now + delay;
  }

  mayNotHaveArrived(now: number): void {
    this.#repeat ??= now + this.#random() * this.#repeatDelay;
  }

  /** The server refuses sockets for this time. */
  refusedFor(now: number, ms: number): void {
    this.#refusedUntil = now + Math.min(ms, RETRY_AFTER_MOST);
  }

  answered(all: boolean): void {
    this.#repeatDelay = REPEAT_FIRST;
    if (all && !this.helloPending) this.#repeat = undefined;
  }

  #pingAt(): number {
    if (this.#busySince === undefined) return this.#heard + PING_IDLE;
    return Math.max(this.#heard, this.#busySince) + PING_BUSY;
  }

  #answerBy(): number | undefined {
    const sentAt = [this.#hello?.at, this.#ping?.at].filter((t) => t !== undefined);
    return sentAt.length ? Math.min(...sentAt) + ANSWER_WITHIN : undefined;
  }
}

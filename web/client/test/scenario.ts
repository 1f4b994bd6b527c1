import { View } from "../src/index.ts";
import type { Resume } from "../src/index.ts";

/** Runs one scenario script against a View. The README beside the scenarios describes the format. */
export class Scenario {
  #now = 0;
  #sent: unknown[] = [];
  #requested: number[] = [];
  #handoverHello: unknown;
  #promoted = false;
  readonly #view = new View({
    send: (text) => void this.#sent.push(JSON.parse(text)),
    connect: () => void this.#requested.push(this.#now),
    close: () => {},
    sendNext: (text) => { this.#handoverHello = JSON.parse(text); },
    promote: () => {
      this.#sent = [];
      this.#promoted = true;
    },
  }, () => 1);

  constructor() {
    this.#view.start(0);
    this.#requested = [];
  }

  /** Runs the script. Throws an error with the line's number at the first step that fails. */
  run(script: string): void {
    script.split("\n").forEach((line, index) => {
      if (line.trim() === "" || line.startsWith("#")) return;
      const [verb, ...words] = line.split(" ");
      try {
        this.#step(verb!, words.join(" "));
      } catch (error) {
        throw new Error(`line ${index + 1}: ${line}\n${String(error)}`, { cause: error });
      }
    });
    if (this.#sent.length) throw new Error(`the client sent unexpected frames: ${JSON.stringify(this.#sent)}`);
    if (this.#promoted || this.#handoverHello) throw new Error("the client has used the next socket, and no step matches that");
    if (this.#requestAt() !== undefined) throw new Error("the client requests a socket, and no step matches that");
  }

  #step(verb: string, rest: string): void {
    const [first = "", ...words] = rest.split(" ");
    const view = this.#view;
    switch (verb) {
      case "connect": return view.offered(this.#now);
      case "lost": return view.online ? view.lost(this.#now) : view.refused(this.#now);
      case "refused": return view.refused(this.#now);
      case "open": return view.open(first, this.#now);
      case "send": return view.run(first, [{ id: `${first}.1`, role: "user", content: words.join(" ") }], this.#now);
      case "too-long": return this.#tooLong(first, words.join(" "));
      case "cancel": return void view.cancel(first, this.#now);
      case "rename": return view.ask({ type: "rename", requestId: `rename.${first}`, threadId: first, title: words.join(" ") }, this.#now);
      case "delete": return view.ask({ type: "delete", requestId: `delete.${first}`, threadId: first }, this.#now);
      case "threads": return view.ask({ type: "threads", requestId: "threads" }, this.#now);
      case "respond": return this.#respond(first, words);
      case "request": return view.ask(JSON.parse(rest) as Parameters<View["ask"]>[0], this.#now);
      case "runs": return view.ask({ type: "runs", requestId: "runs", ...(first && { before: first }) }, this.#now);
      case "erase": return view.ask({ type: "erase", requestId: "erase", confirm: true }, this.#now);
      case "sign-out": return view.ask({ type: "signOut", requestId: "signOut", everywhere: true, ...(rest === "runs" && { cancelRuns: true }) }, this.#now);
      case "wake": return view.wake(this.#now);
      case "tick": return this.#pass(duration(rest));
      case ">": return subset("frame", JSON.parse(rest), this.#sent.shift());
      case ">!": return equal("frames left", [], this.#sent);
      case "<": return view.receive(rest, this.#now);
      case "<+": return view.receiveNext(rest, this.#now);
      case ">+": {
        const handoverHello = this.#handoverHello;
        this.#handoverHello = undefined;
        return subset("frame", JSON.parse(rest), handoverHello);
      }
      case "promote": {
        const promoted = this.#promoted;
        this.#promoted = false;
        return equal("the next socket is in use", true, promoted);
      }
      case "reconnect": return this.#reconnect(rest);
      case "=": return subset("view", JSON.parse(rest), this.#shown());
      default: throw new Error(`unknown step ${verb}`);
    }
  }

  #tooLong(runId: string, content: string): void {
    try {
      this.#view.run(runId, [{ id: `${runId}.1`, role: "user", content }], this.#now);
    } catch {
      return;
    }
    throw new Error("the view accepted the text");
  }

  #respond(runId: string, [json, ...words]: string[]): void {
    const messages = words.length ? [{ id: `${runId}.1`, role: "user" as const, content: words.join(" ") }] : [];
    this.#view.run(runId, messages, this.#now, { threadId: this.#view.thread!.threadId, resume: JSON.parse(json!) as Resume[] });
  }

  #pass(ms: number): void {
    const until = this.#now + ms;
    for (let due = view(this.#view); due !== undefined && due <= until; due = view(this.#view)) {
      this.#now = Math.max(this.#now, due);
      this.#view.tick(this.#now);
    }
    this.#now = until;
  }

  /** The time at which the client requests its next socket: past if it has requested it already. */
  #requestAt(): number | undefined {
    return this.#requested[0] ?? (this.#view.online ? undefined : this.#view.due());
  }

  #reconnect(rest: string): void {
    if (rest === "never") return equal("time of the request for a socket", undefined, this.#requestAt());
    if (this.#requested.length) equal("time of the request for a socket", this.#now + duration(rest), this.#requested.shift());
    else {
      equal("time of the request for a socket", this.#now + duration(rest), this.#view.due());
      this.#pass(duration(rest));
      this.#requested.shift();
    }
  }

  #shown(): unknown {
    const { thread, list, notices, status, sending } = this.#view;
    return {
      threadId: thread?.threadId ?? "", epoch: thread?.cursor?.epoch ?? "", seq: thread?.cursor?.seq ?? 0,
      lagging: thread?.lagging ?? false, gap: thread?.gap ?? 0, truncated: thread?.truncated ?? false,
      messages: thread?.messages ?? [], runs: Object.fromEntries(thread?.runs ?? []), active: thread?.active ?? "", starting: thread?.starting ?? "",
      queued: thread?.queue.filter((run) => run.state === "queued").map((run) => run.runId) ?? [],
      interrupts: thread?.interrupts ?? [], erased: this.#view.erased,
      sending, status, threads: list.rows, notices, failure: thread?.failure, waiting: thread?.waiting,
      progress: Object.fromEntries(thread?.progress ?? []), sources: thread?.sources ?? [],
    };
  }
}

function view(of: View): number | undefined {
  return of.due();
}

function duration(text: string): number {
  const [, amount, unit] = /^(\d+)(ms|s|m|h)?$/.exec(text) ?? [];
  if (amount === undefined) throw new Error(`${text} is not a duration`);
  const scale = unit === "s" ? 1000 : unit === "m" ? 60_000 : unit === "h" ? 3_600_000 : 1;
  return Number(amount) * scale;
}

function equal(what: string, want: unknown, have: unknown): void {
  if (JSON.stringify(want) !== JSON.stringify(have)) {
    throw new Error(`${what}: want ${JSON.stringify(want)}, have ${JSON.stringify(have)}`);
  }
}

function subset(what: string, want: unknown, have: unknown): void {
  if (want === null) equal(what, undefined, have);
  else if (Array.isArray(want)) {
    if (!Array.isArray(have) || have.length !== want.length) equal(what, want, have);
    want.forEach((w, i) => subset(`${what}[${i}]`, w, (have as unknown[])[i]));
  } else if (typeof want === "object") {
    if (typeof have !== "object" || have === null) equal(what, want, have);
    for (const [name, w] of Object.entries(want)) subset(`${what}.${name}`, w, (have as Record<string, unknown>)[name]);
  } else equal(what, want, have);
}

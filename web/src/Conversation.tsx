import { AssistantRuntimeProvider, ComposerPrimitive, ThreadPrimitive, useExternalStoreRuntime } from "@assistant-ui/react";
import type { AppendMessage, ThreadMessageLike } from "@assistant-ui/react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { UIEvent } from "react";
import { isBlank } from "carrel-client";
import type { Agent, CarrelClient, Resume, ThreadState } from "carrel-client";
import { refusals } from "./asked.ts";
import type { Drafts } from "./drafts.ts";
import { Likes } from "./messages.ts";
import { Answer, Question, Stop } from "./Messages.tsx";
import { Agents, chosenAgent, lastAgent } from "./Agents.tsx";
import { Beginning, Ending } from "./Ends.tsx";
import { focusComposer } from "./phone.ts";
import { Questions } from "./Questions.tsx";
import type { Kept } from "./Questions.tsx";
import { said } from "./said.ts";

interface Props {
  readonly client: CarrelClient;
  readonly thread: ThreadState;
  readonly agents: readonly Agent[];
  readonly drafts: Drafts;
  readonly phone: boolean;
  readonly onFault: (fault: string) => void;
}

/** Older messages are fetched at this distance from the top, in pixels. */
const NEAR_TOP = 80;

/** One thread and its composer. It shows only the client's view, so runs of other windows appear too. */
export function Conversation({ client, thread, agents, drafts, phone, onFault }: Props) {
  const [likes] = useState(() => new Likes());
  const messages = useMemo(() => likes.of(thread), [likes, thread]);
  const [stopping, setStopping] = useState<string>();
  const [kept] = useState<Kept>(() => new Map());
  const { fetching, older, scrolled } = useOlder(client, thread, onFault);
  const open = thread.interrupts;
  const [chosen, choose] = useState<string>();
  const agent = chosenAgent(agents, chosen ?? lastAgent(thread));
  const ask = (text: string): string => {
    // While a question is open, a message refuses it and continues.
    if (open.length === 0 || isBlank(text)) return client.send(text, agent === undefined ? {} : { agent });
    return client.respond(thread.threadId, refusals(thread.interrupts), text);
  };
  const answer = (answers: readonly Resume[]): void => {
    try {
      // The client's notices show a refusal, and the questions that are still open appear again.
      client.settled(client.respond(thread.threadId, answers)).catch(() => {});
    } catch (error) {
      onFault(said(error));
    }
    focusComposer();
  };
  const send = (text: string): void => {
    // A refused text returns to the composer, unless the composer already has another text.
    const giveBack = (): void => {
      if (client.state.erasure) return; // nothing of a deleted user is kept
      if (drafts.get(thread.threadId) === "") drafts.put(thread.threadId, text);
      const { composer } = runtime.thread;
      if (composer.getState().text === "") composer.setText(text);
      focusComposer();
    };
    try {
      client.settled(ask(text)).catch(giveBack);
    } catch (error) {
      onFault(said(error));
      giveBack();
    }
    focusComposer();
  };
  const append = (message: AppendMessage): void => send(message.content.map((part) => (part.type === "text" ? part.text : "")).join(""));
  const stop = (runId: string): void => {
    setStopping(runId);
    client.cancel(runId).catch((error: unknown) => {
      setStopping(undefined);
      onFault(said(error));
    });
    focusComposer();
  };
  const runtime = useExternalStoreRuntime<ThreadMessageLike>({
    messages, convertMessage: (message) => message,
    // With runs queued, assistant-ui would show its empty answer below them.
    isRunning: thread.active !== undefined && !thread.queue.some((run) => run.state !== "starting"),
    onNew: async (message) => append(message),
    onCancel: async () => { if (thread.active) stop(thread.active); },
    // The server queues: a message may be sent at any time.
    queue: { items: [], steerItems: [], enqueue: append, steer: append, move: () => {}, edit: () => {}, remove: () => {} },
  });
  const { composer } = runtime.thread;
  useEffect(() => drafts.bind(thread.threadId, composer), [composer, drafts, thread.threadId]);
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Stop value={stop}>
        <ThreadPrimitive.Root className="conversation">
          <ThreadPrimitive.Viewport className="viewport" role="log" aria-label="Conversation" aria-busy={thread.active !== undefined} tabIndex={0} onScroll={scrolled}>
            {thread.more && <button className="older" disabled={fetching} onClick={older}>{fetching ? "Fetching earlier messages" : "Earlier messages"}</button>}
            {messages.length === 0 && <Beginning loaded={thread.loaded} onAsk={send} />}
            <ThreadPrimitive.Messages components={{ UserMessage: Question, AssistantMessage: Answer }} />
            <Ending thread={thread} asks={open.length > 0} onRetry={send} />
            {open.length > 0 && <Questions key={open.map(({ id }) => id).join(" ")} interrupts={open} kept={kept} onAnswer={answer} />}
            <ThreadPrimitive.ScrollToBottom className="newest">Newest</ThreadPrimitive.ScrollToBottom>
          </ThreadPrimitive.Viewport>
          <ComposerPrimitive.Root className="composer">
            <ComposerPrimitive.Input id="message" aria-label="Message" placeholder="Write a message" rows={1} maxRows={8} autoFocus={!phone} cancelOnEscape={false} />
            {agent !== undefined && <Agents agents={agents} chosen={agent} onChoose={choose} />}
            {thread.active && (
              <button type="button" disabled={stopping === thread.active} onClick={() => stop(thread.active!)}>
                {stopping === thread.active ? "Stopping" : "Stop"}
              </button>
            )}
            <ComposerPrimitive.Send className="primary">Send</ComposerPrimitive.Send>
          </ComposerPrimitive.Root>
        </ThreadPrimitive.Root>
      </Stop>
    </AssistantRuntimeProvider>
  );
}

/** Fetches older messages, by the button or by scrolling up, and keeps the scroll position. */
function useOlder(client: CarrelClient, thread: ThreadState, onFault: (fault: string) => void) {
  const [fetching, fetch] = useState(false);
  const asked = useRef(false);
  const last = useRef(0);
  useEffect(() => keepInPlace(document.querySelector<HTMLElement>(".viewport")!), []);
  const older = (): void => {
    if (asked.current) return;
    asked.current = true;
    fetch(true);
    client.history().catch((error: unknown) => onFault(said(error))).finally(() => {
      asked.current = false;
      fetch(false);
    });
  };
  const scrolled = ({ currentTarget: { scrollTop } }: UIEvent): void => {
    const up = scrollTop < last.current;
    last.current = scrollTop;
    if (up && scrollTop < NEAR_TOP && thread.more) older();
  };
  return { fetching, older, scrolled };
}

/** Scrolls by the height that is inserted above the first message. Returns a function that stops it. */
function keepInPlace(view: HTMLElement): () => void {
  let id: string | undefined;
  let top = 0;
  const find = (wanted = ""): HTMLElement | null => view.querySelector(`[data-message-id${wanted && `="${CSS.escape(wanted)}"`}]`);
  const observer = new MutationObserver(() => {
    const known = id === undefined ? null : find(id);
    if (known && known !== find()) view.scrollTop += known.offsetTop - top;
    const first = find();
    id = first?.dataset.messageId;
    top = first?.offsetTop ?? 0;
  });
  observer.observe(view, { childList: true, subtree: true });
  return () => observer.disconnect();
}

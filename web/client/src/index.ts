/** carrel-client: the protocol carrel.v1 for pages and programs. Start with `CarrelClient`. */
export { CarrelClient } from "./client.ts";
export { RefusedError } from "./contract.ts";
export type { CarrelOptions, ClientEvent, ClientState, RunOptions, Socket, ThreadResponses } from "./contract.ts";
export { View } from "./view.ts";
export type { Port, Status } from "./port.ts";
export { ThreadView } from "./thread.ts";
export type { MessageRun } from "./headers.ts";
export type { QueuedRun, ThreadState } from "./state.ts";
export type { Notice } from "./threadviews.ts";
export { isBlank } from "./chars.ts";
export { timedId } from "./ids.ts";
export { Folder } from "./fold.ts";
export { earlierTries } from "./tries.ts";
export { approve, refuse } from "./interrupts.ts";
export { textKey, visibleLine, visibleText } from "./visible.ts";
export type { Cursor, WhenBusy } from "./client-frames.ts";
export type { AgentEvent, Interrupt, Message, Metadata, Resume, Role, ToolCall, Usage } from "./events.ts";
export type { Agent, RunStats, RunHeader, RunInfo, RunPage, RunState, ThreadInfo } from "./server-frames.ts";

// Runs event streams through AG-UI's own checks: `verifyEvents` (order) and `EventSchemas` (shape).
// Input: a JSON array of streams, each an array of events; from the file named or from stdin.
import { readFileSync } from "node:fs";
import { verifyEvents } from "@ag-ui/client";
import { EventSchemas } from "@ag-ui/core/schemas";
import { from, lastValueFrom, tap } from "rxjs";

/** Throws with the stream and the event at the first violation; returns how many passed. */
export async function verify(streams) {
  if (!Array.isArray(streams)) throw new Error("the input is not an array of streams");
  let events = 0;
  for (const [index, stream] of streams.entries()) {
    if (!Array.isArray(stream) || stream.length === 0) throw new Error(`stream ${index} is not an array of events, or is empty`);
    for (const [at, event] of stream.entries()) {
      const { success, error } = EventSchemas.safeParse(event);
      if (!success) throw violation(index, at, event, error.message);
    }
    await order(index, stream);
    events += stream.length;
  }
  return { streams: streams.length, events };
}

async function order(index, stream) {
  let passed = 0;
  try {
    await lastValueFrom(from(stream).pipe(verifyEvents(), tap(() => passed++)));
  } catch (error) {
    throw violation(index, passed, stream[passed], error.message);
  }
  const open = stream.filter(({ type }) => type === "RUN_STARTED").length;
  const ended = stream.filter(({ type }) => type === "RUN_FINISHED" || type === "RUN_ERROR").length;
  if (ended < open) throw violation(index, stream.length - 1, stream.at(-1), "the stream ends before its run does");
}

function violation(stream, at, event, why) {
  return new Error(`stream ${stream}, event ${at}: ${why}\n${JSON.stringify(event)}`);
}

async function main() {
  const streams = JSON.parse(readFileSync(process.argv[2] ?? 0, "utf8"));
  const { streams: n, events } = await verify(streams);
  console.log(`${n} streams, ${events} events: all pass`);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}

import { expect, it } from "vitest";
import { World, ScheduleError } from "./model.ts";

/**
 * SCHEDULES is the number of schedules. SEED repeats the schedule of one seed and lists its steps. COUNT counts the
 * schedules that fail instead of ending at the first; with the value "tell" it also logs the reason of each.
 */
const { SEED, SCHEDULES, COUNT } = process.env;
const first = Number(SEED ?? Math.floor(Math.random() * 1e9));
const count = SEED ? 1 : Number(SCHEDULES ?? 20);

function failure(seed: number, verbose = false): string | undefined {
  const world = new World(seed, verbose);
  try {
    world.play();
    return undefined;
  } catch (error) {
    return `${error instanceof ScheduleError ? String(error) : String((error as Error).stack)}\n${(SEED ? world.notes : world.notes.slice(-60)).join("\n")}`;
  }
}

it("shows the server's data, each event once and in order, on any network", () => {
  let failures = 0;
  let why = "";
  for (let seed = first; seed < first + count && (failures === 0 || COUNT); seed++) {
    const reason = failure(seed);
    if (reason === undefined) continue;
    if (failures++ === 0) why = `SEED=${seed} repeats it: ${failure(seed, true)}`;
    if (COUNT === "tell") console.log(`SEED=${seed} ${reason.slice(0, 200)}`);
  }
  expect(failures, `noticed in ${failures} of ${count} schedules: ${why}`).toBe(0);
}, 3_600_000);

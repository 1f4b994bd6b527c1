import { readdirSync, readFileSync } from "node:fs";

/** Kills the processes of the function turn of the stack that runs this test. Returns how many there were. */
export function killWorkers(): number {
  const all = processes();
  const ancestors = new Set<number>();
  for (let pid = process.pid; pid > 1; pid = all.get(pid)?.parent ?? 1) ancestors.add(pid);
  const workers = [...all].filter(([, { parent, name }]) => ancestors.has(parent) && name.includes("TurnFunction"));
  for (const [pid] of workers) process.kill(pid, "SIGKILL");
  return workers.length;
}

function processes(): Map<number, { parent: number; name: string }> {
  const all = new Map<number, { parent: number; name: string }>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, "utf8"))?.[1]);
      all.set(Number(entry), { parent, name: readFileSync(`/proc/${entry}/cmdline`, "utf8") });
    } catch {
      // The process has ended.
    }
  }
  return all;
}

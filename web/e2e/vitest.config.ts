import { defineConfig } from "vitest/config";

// Two files at a time: a window waits about as long as it computes. Each test has users of its own. A poll may last as
// long as a busy machine needs, since a failure is the only thing that it delays.
export default defineConfig({
  test: { include: ["e2e/**/*.e2e.ts"], maxWorkers: 2, testTimeout: 60_000, hookTimeout: 30_000, expect: { poll: { timeout: 10_000 } } },
});

import { defineConfig } from "vitest/config";

// Two files at a time: a window waits about as long as it computes. Each test has users of its own.
export default defineConfig({
  test: { include: ["e2e/**/*.e2e.ts"], maxWorkers: 2, testTimeout: 60_000, hookTimeout: 30_000 },
});

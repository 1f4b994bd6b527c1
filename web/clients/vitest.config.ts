import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["test/**/*.e2e.ts"], maxWorkers: 2, testTimeout: 90_000, hookTimeout: 60_000 },
});

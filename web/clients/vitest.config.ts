import { defineConfig } from "vitest/config";

// Two files at a time: a window waits about as long as it computes. The tests that kill workers run after all others.
const kills = "test/kills.e2e.ts";
// CopilotKit's chat has tests of its own, because it installs 500 MB: make test-copilotkit.
const copilotkit = process.env.COPILOTKIT === "1";
export default defineConfig({
  test: {
    maxWorkers: 2, testTimeout: 90_000, hookTimeout: 60_000,
    projects: copilotkit ? [{ extends: true, test: { name: "copilotkit", include: ["copilotkit/chat.e2e.ts"] } }] : [
      { extends: true, test: { name: "clients", include: ["test/**/*.e2e.ts"], exclude: [kills], sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: "kills", include: [kills], sequence: { groupOrder: 1 } } },
    ],
  },
});

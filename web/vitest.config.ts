import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["carrel-source"] },
  ssr: { resolve: { conditions: ["carrel-source"] } },
  test: { include: ["client/test/**/*.test.ts", "test/**/*.test.ts", "tools/**/*.test.ts"] },
});

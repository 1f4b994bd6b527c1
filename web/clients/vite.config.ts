import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// The page server of the local stack answers /config.json; under `npm run dev` it is asked for it too.
const server = process.env.CARREL_PAGE ?? "http://127.0.0.1:3000";
const examples = fileURLToPath(new URL("examples", import.meta.url));
const names = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
// The example for the AI SDK is built a second time, with version 6.
const ai6 = process.env.AI === "6";

export default defineConfig({
  root: examples,
  base: ai6 ? "/clients/ai-6/" : "/clients/",
  ...(ai6 && { resolve: { alias: { ai: "ai-6", "@ai-sdk/react": "ai-sdk-react-3" } } }),
  build: {
    outDir: ai6 ? "../dist/ai-6" : "../dist", emptyOutDir: true, target: "es2023", chunkSizeWarningLimit: 3000, reportCompressedSize: false,
    rolldownOptions: {
      input: (ai6 ? ["ai"] : names).map((name) => `${examples}/${name}/index.html`),
      onLog: (level, log, otherwise) => { if (log.code !== "MODULE_LEVEL_DIRECTIVE") otherwise(level, log); },
    },
  },
  server: { proxy: { "/config.json": server } },
});

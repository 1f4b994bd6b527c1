import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// The page server of the local stack answers /config.json; under `npm run dev` it is asked for it too.
const server = process.env.CARREL_PAGE ?? "http://127.0.0.1:3000";
const examples = fileURLToPath(new URL("examples", import.meta.url));
const names = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
// The example for the AI SDK is built a second time, with version 6.
const ai6 = process.env.AI === "6";
// CopilotKit has a folder of its own, because it installs 500 MB.
const copilotkit = process.env.COPILOTKIT === "1";
const name = copilotkit ? "copilotkit" : ai6 ? "ai-6" : "";

export default defineConfig({
  root: copilotkit ? fileURLToPath(new URL("copilotkit", import.meta.url)) : examples,
  base: `/clients/${name && `${name}/`}`,
  ...(ai6 && { resolve: { alias: { ai: "ai-6", "@ai-sdk/react": "ai-sdk-react-3" } } }),
  build: {
    outDir: `../dist/${name}`, emptyOutDir: true, target: "es2023", chunkSizeWarningLimit: 3000, reportCompressedSize: false,
    rolldownOptions: {
      ...(!copilotkit && { input: (ai6 ? ["ai"] : names).map((example) => `${examples}/${example}/index.html`) }),
      onLog: (level, log, otherwise) => { if (log.code !== "MODULE_LEVEL_DIRECTIVE") otherwise(level, log); },
    },
  },
  server: { proxy: { "/config.json": server } },
});

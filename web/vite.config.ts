import { defineConfig } from "vite";

// The page server answers /config.json; under `npm run dev` it is asked for it too.
const server = process.env.CARREL_PAGE ?? "http://127.0.0.1:3000";

export default defineConfig({
  resolve: { conditions: ["carrel-source", "module", "browser", "development|production"] },
  build: {
    target: "es2023",
    chunkSizeWarningLimit: 1500,
    rolldownOptions: {
      // assistant-ui marks its files for React servers, of which there is none here.
      onLog: (level, log, otherwise) => { if (log.code !== "MODULE_LEVEL_DIRECTIVE") otherwise(level, log); },
    },
  },
  server: { proxy: { "/config.json": server } },
});

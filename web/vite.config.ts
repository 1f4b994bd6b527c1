import { defineConfig } from "vite";

// The page server answers /config.json; under `npm run dev` it is asked for it too.
const server = process.env.CARREL_PAGE ?? "http://127.0.0.1:3000";

// What the built page may do: its own files, and connections to where /config.json says. No script and no style but its
// own, whatever a model says. A server may send the same as a header, and frame-ancestors with it.
const policy = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "base-uri 'none'", "form-action 'none'",
  "connect-src 'self' https: wss: http://127.0.0.1:* ws://127.0.0.1:* http://localhost:* ws://localhost:*",
  "require-trusted-types-for 'script'",
].join("; ");

export default defineConfig({
  plugins: [{
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: () => [{ tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: policy }, injectTo: "head-prepend" }],
  }],
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

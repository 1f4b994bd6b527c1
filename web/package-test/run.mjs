/**
 * Packs the npm client as it is published, installs the tarball and CopilotKit's core in an empty folder, and imports every
 * export there. If ENDPOINTS names the endpoints.json of a running stack, CopilotKit then drives a CarrelAgent on that stack: a
 * message, a refusal, an approval, and a message while an interrupt is open. Exits with 1 at the first error.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const COPILOTKIT = "@copilotkit/core@1.74.0";
const SOCKETS = "ws@8.21.3"; // Node 20 has no WebSocket

const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "carrel-package-"));
const npm = (...args) => execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
try {
  const [{ filename, files }] = JSON.parse(npm("pack", "--json", "--silent", "--pack-destination", folder, join(here, "../client")));
  const names = files.map(({ path }) => path);
  for (const name of ["LICENSE", "README.md", "dist/index.js", "dist/index.d.ts", "dist/agui.js", "dist/agui.d.ts"]) {
    if (!names.includes(name)) throw new Error(`the tarball lacks ${name}: it has ${names.join(", ")}`);
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  npm("install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", join(folder, filename), COPILOTKIT, SOCKETS);
  const agUi = JSON.parse(readFileSync(join(folder, "node_modules/@ag-ui/client/package.json"), "utf8")).version;
  console.log(`installed carrel-client beside ${COPILOTKIT}, with @ag-ui/client ${agUi}`);
  cpSync(join(here, "copilotkit.mjs"), join(folder, "copilotkit.mjs"));
  execFileSync(process.execPath, ["copilotkit.mjs"], { cwd: folder, stdio: "inherit", timeout: 120_000 });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

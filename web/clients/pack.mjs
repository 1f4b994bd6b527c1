/** Packs the npm client as it is published, and unpacks it where the examples find it. It has no dependency to install. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "carrel-pack-"));
const target = join(here, "node_modules/carrel-client");
try {
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--silent", "--pack-destination", folder, "../client"], { cwd: here, encoding: "utf8" }));
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "--strip-components=1", "-C", target]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

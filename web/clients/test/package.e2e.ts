import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, it } from "vitest";

const here = fileURLToPath(new URL("..", import.meta.url));
const entries = ["index", "agui", "ai", "assistant-ui", "react", "tanstack"];
/** The limit of the core in bytes, minified and compressed: what a page loads that imports CarrelClient. The goal is 12 KB. */
const CORE = 12.5 * 1024;

let folder = "";
let tarball = "";
const npm = (...args: string[]): string => execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "carrel-package-"));
  const [{ filename }] = JSON.parse(npm("pack", "--json", "--silent", "--pack-destination", folder, join(here, "../client"))) as [{ filename: string }];
  tarball = join(folder, filename);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  npm("install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", tarball);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("installs in an empty project, without any other package", () => {
  const names = Object.keys((JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as { packages: object }).packages);
  expect(names).toEqual(["", "node_modules/carrel-client"]);
  const kinds = execFileSync(process.execPath, ["--input-type=module", "-e", `
    import * as client from "carrel-client";
    console.log(typeof client.CarrelClient, typeof client.RefusedError, typeof client.approve);
  `], { cwd: folder, encoding: "utf8" });
  expect(kinds).toBe("function function function\n");
});

it("contains the licence, the README, and code and types of each export", () => {
  const list = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).split("\n");
  const wanted = ["LICENSE", "README.md", ...entries.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`])];
  expect(wanted.filter((name) => !list.includes(`package/${name}`))).toEqual([]);
  expect(list.filter((name) => /\/(src|test)\//.test(name))).toEqual([]);
});

it("exports what its README names, beside the peers", async () => {
  const all = await Promise.all([import("carrel-client/agui"), import("carrel-client/ai"), import("carrel-client/assistant-ui"), import("carrel-client/react"), import("carrel-client/tanstack")]);
  expect(all.flatMap((one) => Object.keys(one)).sort()).toEqual(["CarrelAgent", "CarrelTransport", "carrelConnection", "useCarrel", "useCarrelRuntime", "useThread", "useThreads"]);
});

it("passes publint and Are the Types Wrong", () => {
  const run = (...args: string[]): string => execFileSync(process.execPath, args, { cwd: here, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  expect(run("node_modules/publint/src/cli.js", "../client", "--strict", "--pack", "false")).toContain("All good");
  // A problem gives an exit code, which fails this test.
  expect(run("node_modules/@arethetypeswrong/cli/dist/index.js", tarball, "--profile", "esm-only", "--format", "ascii")).toContain('"carrel-client/tanstack"');
});

it("keeps the core within its size", async () => {
  const virtual = "\0core";
  const bundle = await rolldown({
    input: virtual, cwd: folder,
    plugins: [{
      name: "core",
      resolveId: (id) => (id === virtual ? id : undefined),
      load: (id) => (id === virtual ? `export { CarrelClient } from ${JSON.stringify(join(folder, "node_modules/carrel-client/dist/index.js"))}` : undefined),
    }],
  });
  const { output: [chunk] } = await bundle.generate({ format: "es", minify: true });
  const bytes = gzipSync(chunk.code, { level: 9 }).length;
  console.log(`the core has ${bytes} bytes`);
  expect(bytes).toBeLessThanOrEqual(CORE);
});

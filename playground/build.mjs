// Bundles GraphiQL, its workers and styles into `dist`, with the flags of all pages and the licences of what is in it.
import { appendFile, copyFile, mkdir, readFile, readdir, rm } from "node:fs/promises";
import { build } from "esbuild";
import { patchPlugin } from "./patches.mjs";

const OPTIONS = {
  bundle: true,
  minify: true,
  outdir: "dist",
  metafile: true,
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
};
// graphiql.css imports the styles of every module.
const SCRIPT_OPTIONS = {
  ...OPTIONS,
  loader: { ".css": "empty" },
  // Of these CommonJS modules, which GraphiQL imports by name, esbuild exports a default only.
  alias: { "prettier/parser-babel": "prettier/plugins/babel", "prettier/parser-graphql": "prettier/plugins/graphql" },
};
const WORKERS = {
  "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
  "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
  "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
};

await rm("dist", { recursive: true, force: true });
const results = await Promise.all([
  build({ ...OPTIONS, entryPoints: ["src/graphiql.css"], loader: { ".ttf": "file" } }),
  build({ ...SCRIPT_OPTIONS, entryPoints: ["src/graphiql.js"], format: "esm", splitting: true, plugins: [patchPlugin] }),
  // The policy of a worker's own response allows no imports.
  build({ ...SCRIPT_OPTIONS, entryPoints: WORKERS }),
]);

// The flags of all pages: those of countries have two letters.
const FLAGS = "node_modules/flag-icons/flags/4x3";
await mkdir("dist/flags");
for (const file of (await readdir(FLAGS)).filter((file) => /^[a-z]{2}\.svg$/.test(file))) {
  await copyFile(`${FLAGS}/${file}`, `dist/flags/${file}`);
}

const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
const packages = inputs.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []);
for (const folder of [...new Set([...packages, "node_modules/flag-icons"])].sort()) {
  const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
  await appendFile("dist/LICENSES.txt", `${"=".repeat(80)}\n${name} ${version}: ${license}\n\n`);
  for (const file of (await readdir(folder)).filter((file) => /^(licen[cs]e|thirdparty)/i.test(file))) {
    await appendFile("dist/LICENSES.txt", `${await readFile(`${folder}/${file}`, "utf8")}\n`);
  }
}

// What playground.js imports, in one bundle.

export { explorerPlugin } from "@graphiql/plugin-explorer";
export { pick, useGraphiQL } from "@graphiql/react";
export { createGraphiQLFetcher } from "@graphiql/toolkit";
export { GraphiQL, HISTORY_PLUGIN } from "graphiql";
export { parse } from "graphql";
export { createElement } from "react";
export { createRoot } from "react-dom/client";

globalThis.MonacoEnvironment = {
  getWorker(_, label) {
    const name = ["graphql", "json"].includes(label) ? label : "editor";
    return new Worker(new URL(`${name}.worker.js`, import.meta.url), { name });
  },
};

// GraphiQL with three initial tabs. The browser stores what people write in them.
/* global GraphiQL, GraphiQLPluginExplorer, React, ReactDOM */

const COUNTRIES = `# The five most populous countries of Europe.
query Countries {
  countries(
    filter: { region: { eq: "Europe" } }
    sort: { field: POPULATION, direction: DESC }
    first: 5
  ) {
    totalCount
    nodes {
      name
      capital
      population
      currencyCode
      exchangeRate
      estimatedGdp
    }
  }
}
`;

const REFRESH = `# Fetches every source and stores the data. The tab to the right shows the progress.
mutation Refresh {
  refreshCountries {
    totalCountries
    inserted
    updated
    unchanged
    missing
    skipped {
      record
      reason
    }
    timings {
      fetchMs
      transformMs
      upsertMs
      imageMs
      totalMs
    }
    sources {
      kind
      provider
      live
      asOf
      failures
    }
    imageUrl
  }
}
`;

const PROGRESS = `# Phases of the running refresh, and of those that start while this is subscribed.
subscription Progress {
  refreshProgress {
    phase
    fraction
    elapsedMs
    message
  }
}
`;

const container = document.getElementById("graphiql");
const headers = container.dataset.tokenRequired === "yes" ? '{ "Authorization": "Bearer …" }' : "";
const url = location.origin + location.pathname;

const fetcher = GraphiQL.createFetcher({ url, subscriptionUrl: url.replace(/^http/, "ws") });

ReactDOM.createRoot(container).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: [
      { query: COUNTRIES },
      { query: REFRESH, headers },
      { query: PROGRESS },
    ],
    defaultEditorToolsVisibility: headers ? "headers" : true,
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    inputValueDeprecation: true,
  }),
);

// GraphiQL with three tabs to begin with; what a person writes in them is kept by the browser.
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

const REFRESH = `# Fetches every source and stores what they say. The tab on the right of this one watches.
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

const PROGRESS = `# Phases of the refresh that runs, and of those that begin while this listens.
subscription Progress {
  refreshProgress {
    phase
    fraction
    elapsedMs
    message
  }
}
`;

const place = document.getElementById("graphiql");
const token = place.dataset.tokenNeeded === "yes" ? '{ "Authorization": "Bearer …" }' : "";
const url = location.origin + location.pathname;

const fetcher = GraphiQL.createFetcher({ url, subscriptionUrl: url.replace(/^http/, "ws") });

ReactDOM.createRoot(place).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: [
      { query: COUNTRIES },
      { query: REFRESH, headers: token },
      { query: PROGRESS },
    ],
    defaultEditorToolsVisibility: token ? "headers" : true,
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    inputValueDeprecation: true,
  }),
);

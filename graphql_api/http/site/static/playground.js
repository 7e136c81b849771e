// GraphiQL with initial tabs. The browser stores what people write in them.
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
      gdp
      gdpYear
    }
  }
}
`;

const GRAPH = `# From a country to its languages, currency
# and neighbours, named in another language.
query Graph {
  country(code: "CH") {
    emoji
    name(lang: "fr")
    nativeNames {
      lang
      name
    }
    continent {
      name(lang: "fr")
    }
    currency {
      name(lang: "fr")
      symbol
      rate(base: "EUR")
    }
    languages {
      official
      share
      language {
        name(lang: "fr")
        nativeName
      }
    }
    neighbours {
      emoji
      name(lang: "fr")
    }
  }
}
`;

const GROUPS = `# GDP per region, with totals of all countries.
# Sums leave out countries without a value.
query Groups {
  countries {
    aggregate {
      count
      sum {
        population
        gdp
        gdpPpp
      }
    }
    groups(by: REGION, sort: { field: GDP_PPP }) {
      keys
      aggregate {
        count
        sum {
          population
          gdp
          gdpPpp
        }
        median {
          gdpPerCapita
        }
      }
    }
  }
}
`;

const SEARCH = `# A country by any spelling, in any language.
# Try: cote divoire, 日本, deutschl, wien
query Search {
  search(text: "germny", first: 3) {
    score
    matched
    country {
      emoji
      name
      capital
    }
  }
}
`;

const CONVERT = `# Money at the rates of the last refresh.
query Convert {
  convert(amount: 100, from: "EUR", to: ["USD", "JPY"]) {
    amount
    rate
    currency {
      code
      symbol
      digits
    }
  }
}
`;

const REFRESH = `# Fetches every source and stores the data.
# Changing tabs loses the answer. To watch it,
# first run Progress in another window.
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
    warning
    imageUrl
  }
}
`;

const PROGRESS = `# Phases of the running refresh, and later ones.
# Changing tabs ends it: refresh elsewhere.
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

const WAITING = { message: "Waiting for a refresh to start. Its phases appear here." };

/** Return results that begin with a notice, because a subscription may have none for hours. */
function withNotice(results) {
  const iterator = results[Symbol.asyncIterator]();
  let isFirst = true;
  return {
    next() {
      if (!isFirst) return iterator.next();
      isFirst = false;
      return Promise.resolve({ done: false, value: WAITING });
    },
    return: () => iterator.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const send = GraphiQL.createFetcher({ url, subscriptionUrl: url.replace(/^http/, "ws") });

async function fetcher(params, options) {
  const result = await send(params, options);
  return result[Symbol.asyncIterator] ? withNotice(result) : result;
}

ReactDOM.createRoot(container).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: [
      { query: COUNTRIES },
      { query: GRAPH },
      { query: GROUPS },
      { query: SEARCH },
      { query: CONVERT },
      { query: REFRESH, headers },
      { query: PROGRESS },
    ],
    defaultEditorToolsVisibility: headers ? "headers" : true,
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    inputValueDeprecation: true,
  }),
);

// GraphiQL with initial tabs. The browser stores what people write in them.

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
      gdpPpp
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

const GROUPS = `# GDP by purchasing power per region, and of all.
# Sums leave out countries without a value.
query Groups {
  countries {
    aggregate {
      count
      sum {
        population
        gdpPpp
      }
    }
    groups(by: REGION, sort: { field: GDP_PPP }) {
      keys
      aggregate {
        count
        sum {
          population
          gdpPpp
        }
        median {
          gdpPpp
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
# Its phases appear here, and then its report.
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

const TABS = [COUNTRIES, GRAPH, GROUPS, SEARCH, CONVERT, REFRESH, PROGRESS].map((query) => ({ query }));
const WAITING = { message: "Waiting for a refresh to start. Its phases appear here." };
/** The landing page keeps the token under the same name, until the window closes. */
const TOKEN_KEY = "graphql-api token";
/** Milliseconds. */
const NOTICE_TIME = 4000;

const container = document.getElementById("graphiql");

// --- styles under a policy without unsafe-inline ---

const TAG = /<[a-z][^<>]*>/gi;

/** Parse HTML. Its `style` attributes are set by script, because the policy blocks those that the parser finds. */
function parse(html, setHTML) {
  const template = document.createElement("template");
  const renamed = String(html).replace(TAG, (tag) => tag.replaceAll(' style="', ' data-style="'));
  setHTML.call(template, renamed);
  for (const element of template.content.querySelectorAll("[data-style]")) {
    element.style.cssText = element.dataset.style;
    element.removeAttribute("data-style");
  }
  return template.content;
}

/** Let the editor style lines by HTML with `style` attributes, and create style elements. */
function allowEditorStyles(nonce) {
  const { createElement } = Document.prototype;
  Document.prototype.createElement = function (...values) {
    const element = createElement.apply(this, values);
    if (element.localName === "style") element.nonce = nonce;
    return element;
  };
  const innerHTML = Object.getOwnPropertyDescriptor(Element.prototype, "innerHTML");
  Object.defineProperty(HTMLElement.prototype, "innerHTML", {
    ...innerHTML,
    set(html) {
      const hasStyles = this.ownerDocument === document && / style="/.test(html);
      if (hasStyles) this.replaceChildren(parse(html, innerHTML.set));
      else innerHTML.set.call(this, html);
    },
  });
  const inserters = { beforebegin: "before", afterbegin: "prepend", beforeend: "append", afterend: "after" };
  HTMLElement.prototype.insertAdjacentHTML = function (position, html) {
    this[inserters[position]](parse(html, innerHTML.set));
  };
}

allowEditorStyles(document.querySelector("link[nonce]").nonce);
const { GraphiQL, HISTORY_PLUGIN, createElement, createGraphiQLFetcher, createRoot, explorerPlugin, ...graphql } =
  await import(new URL(container.dataset.bundle, document.baseURI)).catch((error) => {
    container.firstElementChild.textContent = "The playground could not be loaded. Reload the page to try again.";
    throw error;
  });

// --- the token ---

const dialog = document.getElementById("token");
const form = dialog.querySelector("form");

/** Ask for the token. Resolves to whether there is one now. */
function askForToken(reason) {
  dialog.querySelector("[role=status]").textContent = reason;
  form.token.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "use");
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, form.token.value.trim());
  dialog.close("use");
});
dialog.querySelector("[name=forget]").addEventListener("click", () => {
  sessionStorage.removeItem(TOKEN_KEY);
  dialog.close();
});
dialog.querySelector("[name=cancel]").addEventListener("click", () => dialog.close());

// --- requests ---

const url = location.origin + location.pathname;
const fetchFromServer = createGraphiQLFetcher({
  url,
  subscriptionUrl: url.replace(/^http/, "ws"),
  enableIncrementalDelivery: false, // would make an iterator of every result
});

/** Throw what GraphiQL shows: errors of GraphQL, or a message. Of an Error it would show the stack too. */
function throwReadable(error) {
  if (Array.isArray(error)) throw error;
  throw { message: `The server did not respond: ${error.message || error.reason || "the connection was closed"}.` };
}

async function send(params, options) {
  try {
    return await fetchFromServer(params, options);
  } catch (error) {
    return throwReadable(error);
  }
}

/** Send a request with the token, and ask for it where the server requires one. */
async function sendWithToken(params, options) {
  const headers = options?.headers ?? {};
  if (Object.keys(headers).some((name) => name.toLowerCase() === "authorization")) return send(params, options);
  for (;;) {
    const token = sessionStorage.getItem(TOKEN_KEY);
    const credentials = token ? { Authorization: `Bearer ${token}` } : {};
    const result = await send(params, { ...options, headers: { ...headers, ...credentials } });
    if (!result.errors?.some(({ extensions }) => extensions?.code === "UNAUTHENTICATED")) return result;
    if (token) sessionStorage.removeItem(TOKEN_KEY);
    const reason = token ? "The server does not accept this token." : "This operation requires the administrator’s token.";
    if (!(await askForToken(reason))) return result;
  }
}

/** Yield the phases of a refresh, and then the response of the mutation that started it. */
async function* sendRefresh(params, options) {
  const progress = await send({ query: PROGRESS, operationName: "Progress" }, { documentAST: graphql.parse(PROGRESS) });
  let response = null;
  const sending = sendWithToken(params, options).then((result) => {
    response = result;
    return progress.return();
  });
  try {
    for await (const phase of progress) if (!response) yield phase;
  } catch {
    // Without a WebSocket the response comes without phases.
  }
  await sending;
  yield response;
}

/** Yield results after a notice, because a subscription may have none for hours. */
function withNotice(results) {
  let isFirst = true;
  return {
    next() {
      if (!isFirst) return results.next().catch(throwReadable);
      isFirst = false;
      return Promise.resolve({ done: false, value: WAITING });
    },
    return: () => results.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function fetcher(params, options) {
  const operations = options?.documentAST?.definitions.filter(({ kind }) => kind === "OperationDefinition") ?? [];
  const operation = operations.find(({ name }) => name?.value === params.operationName) ?? operations[0];
  const fields = operation?.selectionSet.selections.map(({ name }) => name?.value);
  if (operation?.operation === "mutation" && fields.includes("refreshCountries")) return sendRefresh(params, options);
  const result = await sendWithToken(params, options);
  return result[Symbol.asyncIterator] ? withNotice(result) : result;
}

// --- links ---

/** What is wrong with the link that opened the page. */
let linkProblem = "";

/** Return the query and variables of the address, which then loses them: a reload keeps the tab as it was edited. */
function takeLinkedTab() {
  if (location.hash.length < 2) return null;
  const shared = new URLSearchParams(location.hash.slice(1));
  const query = shared.get("query");
  history.replaceState(null, "", location.pathname + location.search);
  if (!query?.trim()) {
    linkProblem = "The link has no query";
    return null;
  }
  if (query.includes("\ufffd")) linkProblem = "The query of the link is damaged";
  let variables = shared.get("variables") ?? "";
  try {
    variables = variables && JSON.stringify(JSON.parse(variables), null, 2);
  } catch {
    linkProblem = "The variables of the link are no JSON";
  }
  return { query, variables };
}

function buildLink(query, variables) {
  const link = new URL(location.href);
  link.hash = new URLSearchParams(variables.trim() ? { query, variables } : { query });
  return link.href;
}

async function copyLink(link, button) {
  let notice = "Link copied";
  try {
    await navigator.clipboard.writeText(link);
  } catch {
    // Browsers copy on secure pages only.
    history.replaceState(null, "", link);
    notice = "The link is in the address bar";
  }
  const status = button.parentElement.querySelector("[role=status]");
  status.textContent = notice;
  setTimeout(() => (status.textContent = ""), NOTICE_TIME);
}

function Actions() {
  const editors = graphql.useGraphiQL(graphql.pick("queryEditor", "variableEditor"));
  const share = ({ currentTarget }) =>
    copyLink(buildLink(editors.queryEditor.getValue(), editors.variableEditor?.getValue() ?? ""), currentTarget);
  const token = { type: "button", onClick: () => askForToken("Requests carry this token.") };
  return createElement(
    "div",
    { className: "actions" },
    createElement("h1", null, "Playground"),
    createElement("span", { role: "status" }, linkProblem),
    createElement("button", { type: "button", onClick: share }, "Share link"),
    container.dataset.tokenRequired === "yes" && createElement("button", token, "Token"),
    createElement("a", { href: container.dataset.root }, "Countries"),
  );
}

/** Leave an editor by Escape, unless it closes something there: Tab indents. Enter returns. */
container.addEventListener("keydown", ({ key, target }) => {
  if (key === "Escape" && target.matches(".monaco-editor textarea")) target.closest(".graphiql-editor").focus();
});

const linked = takeLinkedTab();
// A link to this page, opened on this page, changes nothing but the fragment.
addEventListener("hashchange", () => location.reload());

createRoot(container).render(
  createElement(
    GraphiQL,
    {
      fetcher,
      defaultTabs: linked ? [linked, ...TABS] : TABS,
      initialQuery: linked?.query,
      initialVariables: linked?.variables,
      defaultEditorToolsVisibility: true,
      plugins: [HISTORY_PLUGIN, explorerPlugin()],
      inputValueDeprecation: true,
    },
    createElement(GraphiQL.Logo, null, createElement(Actions)),
  ),
);

// Queries, errors and a subscription over Server-Sent Events, with stock clients. Prints a line for each result.
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-sse';

const url = process.argv[2];
const name = process.argv[3];
const PROGRESS = 'subscription Progress { refreshProgress { phase report { totalCountries } } }';
const sse = createClient({ url, retryAttempts: 0 });

// Each returns an asynchronous iterator over results.
const clients = {
  'graphql-sse': (query, variables) => sse.iterate({ query, variables }),
  'urql with graphql-sse': (query, variables) =>
    urql([
      subscriptionExchange({
        enableAllOperations: true,
        forwardSubscription: (operation) => ({
          subscribe: (sink) => ({ unsubscribe: sse.subscribe(operation, sink) }),
        }),
      }),
    ], query, variables),
  'urql alone': (query, variables) => urql([fetchExchange], query, variables, { fetchSubscriptions: true }),
};

function urql(exchanges, query, variables, options) {
  const client = new Client({ url, exchanges, preferGetMethod: false, ...options });
  const source = query.startsWith('subscription')
    ? client.subscription(query, variables ?? {})
    : client.query(query, variables ?? {});
  return iterate(source);
}

async function* iterate(source) {
  const results = [];
  let wake = () => {};
  const { unsubscribe } = source.subscribe((result) => {
    results.push(result);
    wake();
  });
  try {
    for (;;) {
      while (results.length) yield results.shift();
      await new Promise((resolve) => (wake = resolve));
    }
  } finally {
    unsubscribe();
  }
}

function messages({ errors, error }) {
  return (errors ?? error?.graphQLErrors ?? []).map(({ message }) => message).join();
}

async function first(query, variables) {
  for await (const result of clients[name](query, variables)) {
    return result;
  }
}

const { data } = await first('query One($code: String!) { country(code: $code) { name } }', { code: 'NZ' });
console.log(data.country.name);
console.log(messages(await first('query Wrong { nothing }')));
console.log('subscribed');
for await (const { data } of clients[name](PROGRESS)) {
  const { phase, report } = data.refreshProgress;
  if (report) {
    console.log(phase, report.totalCountries);
    break;
  }
}
process.exit(0);

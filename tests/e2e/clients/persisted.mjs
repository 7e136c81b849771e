// Stock clients with persisted queries by GET, over an HTTP cache such as browsers have: npm's own.
//
// Each line that is read loads the page that it names anew: another client with an empty cache of its
// own, over the HTTP cache that stays. What the page shows is printed.
import { createInterface } from 'node:readline';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { cacheExchange, Client, fetchExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import caching from 'make-fetch-happen';

const url = process.argv[2];
const fetch = caching.defaults({ cachePath: './http-cache', retry: false });

async function sha256(text) {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function apollo() {
  const client = new ApolloClient({
    link: new PersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(
      new HttpLink({ uri: url, fetch }),
    ),
    cache: new InMemoryCache(),
  });
  return {
    query: async (document, variables) => (await client.query({ query: document, variables })).data,
    mutate: async (document) => (await client.mutate({ mutation: document })).data,
  };
}

function urql() {
  const client = new Client({
    url,
    fetch,
    exchanges: [
      cacheExchange,
      persistedExchange({ preferGetForPersistedQueries: true, enableForMutation: true }),
      fetchExchange,
    ],
  });
  const data = ({ data, error }) => {
    if (error) throw error;
    return data;
  };
  return {
    query: async (document, variables) => data(await client.query(document, variables)),
    mutate: async (document) => data(await client.mutation(document, {})),
  };
}

const COUNT = gql`query Count { countries { totalCount } }`;
const NAME = gql`query Name($code: String!) { country(code: $code) { id name } }`;
const DELETE = gql`mutation Delete { deleteCountry(code: "FR") { id code } }`;

for await (const line of createInterface({ input: process.stdin })) {
  const [name, what] = line.split(' ');
  const client = { apollo, urql }[name]();
  if (what === 'delete') {
    console.log((await client.mutate(DELETE)).deleteCountry.code);
  } else {
    const { countries } = await client.query(COUNT, {});
    const names = [];
    for (const code of ['FR', 'NZ']) {
      names.push((await client.query(NAME, { code })).country?.name);
    }
    console.log(countries.totalCount, ...names);
  }
}

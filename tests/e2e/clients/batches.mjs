// Stock clients that send several requests in one body. Prints what each of them shows, as a line of JSON.
import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { batchRequests } from 'graphql-request';

const url = process.argv[2];
const NAME = gql`query Name($code: String!) { country(code: $code) { name } }`;
const COUNT = gql`query Count { countries { totalCount } }`;
const WRONG = gql`query Wrong { contry { name } }`;
const DELETE = gql`mutation Delete($code: String!) { deleteCountry(code: $code) { name } }`;

async function apollo() {
  const client = new ApolloClient({ link: new BatchHttpLink({ uri: url }), cache: new InMemoryCache() });
  const results = await Promise.allSettled([
    client.query({ query: NAME, variables: { code: 'FR' } }),
    client.query({ query: WRONG }),
    client.mutate({ mutation: DELETE, variables: { code: 'ZW' } }),
    client.query({ query: COUNT }),
  ]);
  return results.map(({ value, reason }) => value?.data ?? reason.errors[0].extensions.code);
}

async function graphqlRequest() {
  const results = await batchRequests(url, [
    { document: NAME, variables: { code: 'NZ' } },
    { document: COUNT },
  ]);
  return results.map(({ data }) => data);
}

for (const client of [apollo, graphqlRequest]) {
  console.log(JSON.stringify(await client(), (key, value) => (key === '__typename' ? undefined : value)));
}

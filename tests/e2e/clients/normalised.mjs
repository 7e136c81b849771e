// Apollo Client's cache, without any settings but the types that have an id: what is in it, by what key.
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';

const client = new ApolloClient({
  link: new HttpLink({ uri: process.argv[2] }),
  cache: new InMemoryCache({ possibleTypes: { Node: ['Country'] } }),
});
await client.query({
  query: gql`query { countries(first: 2) { edges { node { id name } } nodes { id code } } }`,
});
const { data } = await client.query({
  query: gql`query { country(code: "AF") { id capital } }`,
});
await client.query({
  query: gql`query ($id: ID!) { node(id: $id) { id ... on Country { population } } }`,
  variables: { id: data.country.id },
});
const { ROOT_QUERY, ...kept } = client.cache.extract();
console.log(JSON.stringify(kept));

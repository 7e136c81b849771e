// Apollo Client's cache, without any settings but the types that have an id: what is in it, by what key.
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';

const client = new ApolloClient({
  link: new HttpLink({ uri: process.argv[2] }),
  cache: new InMemoryCache({ possibleTypes: { Node: ['Continent', 'Country', 'Currency', 'Language', 'Region'] } }),
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
// The same objects by other ways: from a country, by code, from a list, and by id.
const { data: walk } = await client.query({
  query: gql`query {
    country(code: "LI") {
      id continent { id code } currency { id code } languages { language { id code } } neighbours { id }
    }
  }`,
});
await client.query({
  query: gql`query ($ids: [ID!]!) {
    currency(code: "CHF") { id name }
    language(code: "de") { id name }
    regions { id name subregions { id parent { id } } }
    nodes(ids: $ids) { id ... on Currency { digits } ... on Continent { name } ... on Country { alpha3 } }
  }`,
  variables: { ids: [walk.country.currency.id, walk.country.continent.id, walk.country.id] },
});
const { ROOT_QUERY, ...kept } = client.cache.extract();
console.log(JSON.stringify(kept));

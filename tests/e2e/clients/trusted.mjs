// A front end whose documents are in a manifest: Apollo Client, with the ids that Apollo's tool has written.
import { readFile } from 'node:fs/promises';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';

const manifest = JSON.parse(await readFile('persisted-query-manifest.json', 'utf8'));
const ids = new Map(manifest.operations.map(({ name, id }) => [name, id]));

const client = new ApolloClient({
  link: new PersistedQueryLink({
    useGETForHashedQueries: true,
    generateHash: ({ definitions }) =>
      ids.get(definitions.find(({ kind }) => kind === 'OperationDefinition').name.value) ?? '0'.repeat(64),
  }).concat(new HttpLink({ uri: process.argv[2] })),
  cache: new InMemoryCache(),
});
const { data } = await client.query({
  query: gql(await readFile('trusted.graphql', 'utf8')),
  variables: { code: 'NZ' },
});
console.log(data.country.name, data.country.areaKm2);
const other = gql`
  query Other {
    countries {
      totalCount
    }
  }
`;
try {
  await client.query({ query: other });
} catch (error) {
  console.log(error.errors[0].extensions.code);
}

// Apollo Server, standalone; it caches documents by default.
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { port, resolvers, typeDefs } from './resolvers.mjs';

const server = new ApolloServer({ typeDefs, resolvers });
await startStandaloneServer(server, { listen: { port, host: '127.0.0.1' } });

// What Relay refetches by itself: the next page of a connection, and an object by its id.
import { graphql } from 'relay-runtime';

graphql`
  fragment refetchable_countries on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" })
  @refetchable(queryName: "refetchableNextPageQuery") {
    countries(first: $first, after: $after) @connection(key: "refetchable_countries") {
      edges { node { name ...refetchable_country } }
    }
  }
`;
graphql`
  fragment refetchable_country on Country @refetchable(queryName: "refetchableCountryQuery") {
    name
    lastRefreshedAt
  }
`;

// The data in memory, and the resolvers, which every server of this folder has.
import { readFileSync } from 'node:fs';

export const typeDefs = readFileSync(new URL('schema.graphql', import.meta.url), 'utf8');
const countries = JSON.parse(readFileSync(process.env.COUNTRIES, 'utf8'));
const byCode = new Map(countries.map((country) => [country.code, country]));
const attributes = { NAME: 'name', POPULATION: 'population' };

function matches(country, { region, population }) {
  return (
    (region?.eq == null || country.region?.toLowerCase() === region.eq.toLowerCase()) &&
    (population?.gt == null || country.population > population.gt)
  );
}

function compare(one, other, sort) {
  for (const { field, direction } of sort) {
    const name = attributes[field];
    if (one[name] !== other[name]) {
      return one[name] < other[name] === (direction === 'ASC') ? -1 : 1;
    }
  }
  return 0;
}

export const resolvers = {
  Query: {
    country: (_, { code }) => byCode.get(code.toUpperCase()),
    countries(_, { filter, sort, first }) {
      // The data stands in the order of names.
      const matching = filter ? countries.filter((one) => matches(one, filter)) : countries;
      const arranged = sort ? matching.toSorted((a, b) => compare(a, b, sort)) : matching;
      return { nodes: arranged.slice(0, first ?? undefined), totalCount: matching.length };
    },
  },
};

export const port = Number(process.env.PORT);

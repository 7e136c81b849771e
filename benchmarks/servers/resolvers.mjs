// Data in memory and resolvers, shared by every server in this folder.
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

function compare(left, right, sort) {
  for (const { field, direction } of sort) {
    const name = attributes[field];
    if (left[name] !== right[name]) {
      return left[name] < right[name] === (direction === 'ASC') ? -1 : 1;
    }
  }
  return 0;
}

export const resolvers = {
  Query: {
    country: (_, { code }) => byCode.get(code.toUpperCase()),
    countries(_, { filter, sort, first }) {
      // The data is in order of name.
      const matching = filter ? countries.filter((country) => matches(country, filter)) : countries;
      const sorted = sort ? matching.toSorted((a, b) => compare(a, b, sort)) : matching;
      return { nodes: sorted.slice(0, first ?? undefined), totalCount: matching.length };
    },
  },
};

export const port = Number(process.env.PORT);

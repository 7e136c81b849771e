"""Makes `python -m graphql_api` the same as `graphql-api`."""

from graphql_api.cli import main

main()

"""A process to be killed: it writes ten thousand rows, in as many statements as that takes."""

import asyncio
import sys

from graphql_api.storage import countries
from tests.support.database import open_database
from tests.support.factories import make_country

ROW_COUNT = 10_000
"""10,000 codes: every pair of a hundred letters."""


async def write_rows(url: str, revision: int) -> None:
    """Write all rows at a revision; print a line before and after."""
    codes = [f"{chr(0x4E00 + number // 100)}{chr(0x4E00 + number % 100)}" for number in range(ROW_COUNT)]
    rows = [make_country(code, revision=revision, name=f"{revision}" * 50) for code in codes]
    async with open_database(url) as database, database.connect() as connection:
        print("writing", flush=True)  # noqa: T201 - for who is to kill it
        await database.retrying(connection, lambda transaction: countries.upsert(transaction, rows))
        print("written", flush=True)  # noqa: T201 - read by the test


if __name__ == "__main__":
    asyncio.run(write_rows(sys.argv[1], int(sys.argv[2])))

"""The stored provider cache: one text per kind, replaced by the next one."""

from graphql_api.storage import provider_cache
from graphql_api.storage.database import Database
from tests.support.database import begin_transaction


async def test_nothing_said(database: Database) -> None:
    """A new database has an empty cache, also after saving nothing."""
    async with begin_transaction(database) as connection:
        await provider_cache.save(connection, {})
    async with database.connect() as connection:
        assert await provider_cache.load(connection) == {}


async def test_round_trip(database: Database) -> None:
    """A text of any length and content is loaded unchanged."""
    texts = {"countries": "x" * 1_000_000, "rates": '{"a": "\\\\\' « 🏴 » %s :x"}'}
    async with begin_transaction(database) as connection:
        await provider_cache.save(connection, texts)
    async with database.connect() as connection:
        assert await provider_cache.load(connection) == texts


async def test_replaced(database: Database) -> None:
    """A newer text replaces only that of its kind."""
    async with begin_transaction(database) as connection:
        await provider_cache.save(connection, {"countries": "1", "rates": "1"})
    async with begin_transaction(database) as connection:
        await provider_cache.save(connection, {"rates": "2"})
    async with database.connect() as connection:
        assert await provider_cache.load(connection) == {"countries": "1", "rates": "2"}

"""The lease: one holder at a time by the database's clock, and a higher revision each time."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from graphql_api.storage import countries, lease
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.tables import leases
from tests.support.factories import make_country


async def acquire_lease(
    database: Database, holder: str, refresh_id: str, *, seconds: float = 60
) -> int | lease.LeaseInfo:
    """Try to take the lease."""

    async def operation(connection: DatabaseConnection) -> int | lease.LeaseInfo:
        return await lease.acquire(connection, holder=holder, refresh_id=refresh_id, ttl=seconds)

    return await database.run(operation)


async def release_lease(database: Database, refresh_id: str) -> None:
    """Release the lease."""
    await database.run(lambda connection: lease.release(connection, refresh_id=refresh_id))


async def test_free_at_first(database: Database) -> None:
    """The lease of a new database is free."""
    assert await database.run(lease.read) is None


async def test_taken(database: Database, replica: Database) -> None:
    """The first process gets the lease, and others get its refresh and start."""
    assert await acquire_lease(database, "me", "1") == 1
    lease_info = await acquire_lease(replica, "other", "2")
    assert isinstance(lease_info, lease.LeaseInfo)
    assert (lease_info.refresh_id, lease_info.revision) == ("1", 1)
    # The database runs on this machine, with the same clock.
    assert abs(lease_info.taken_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert await replica.run(lease.read) == lease_info == await acquire_lease(replica, "other", "2")


async def test_given_back(database: Database, replica: Database) -> None:
    """A released lease is free, and the next revision is higher."""
    await acquire_lease(database, "me", "1")
    await release_lease(database, "1")
    assert await replica.run(lease.read) is None
    assert await acquire_lease(replica, "other", "2") == 2


async def test_giving_back_what_is_anothers(database: Database, replica: Database) -> None:
    """A refresh that lost its lease does not release that of another."""
    await acquire_lease(database, "me", "1", seconds=0)
    assert await acquire_lease(replica, "other", "2") == 2
    await release_lease(database, "1")
    lease_info = await database.run(lease.read)
    assert lease_info is not None
    assert lease_info.refresh_id == "2"


async def test_runs_out(database: Database, replica: Database) -> None:
    """The lease of a dead holder expires after its time."""
    assert await acquire_lease(database, "dead", "1", seconds=1) == 1
    assert isinstance(await acquire_lease(replica, "other", "2"), lease.LeaseInfo)
    await asyncio.sleep(1.05)
    assert await replica.run(lease.read) is None
    assert await acquire_lease(replica, "other", "2") == 2


async def renew_lease(database: Database, refresh_id: str) -> bool:
    """Try to renew the lease for a minute."""
    return await database.run(lambda connection: lease.renew(connection, refresh_id=refresh_id, ttl=60))


async def test_renewed(database: Database, replica: Database) -> None:
    """A renewed lease lasts longer, with the same start and revision."""
    assert await acquire_lease(database, "me", "1", seconds=0) == 1
    assert await replica.run(lease.read) is None
    assert await renew_lease(database, "1") is True
    lease_info = await replica.run(lease.read)
    assert lease_info is not None
    assert (lease_info.refresh_id, lease_info.revision) == ("1", 1)
    assert await acquire_lease(replica, "other", "2") == lease_info


async def test_renewal_of_what_is_anothers(database: Database, replica: Database) -> None:
    """A lease that another process has taken, or that was released, is not renewed."""
    await acquire_lease(database, "me", "1", seconds=0)
    await acquire_lease(replica, "other", "2")
    assert await renew_lease(database, "1") is False
    await release_lease(replica, "2")
    assert await renew_lease(replica, "2") is False
    assert await database.run(lease.read) is None


async def test_taken_anew_by_its_holder(database: Database, replica: Database) -> None:
    """The holder takes the lease again for its next refresh, with a higher revision."""
    assert await acquire_lease(database, "me", "1") == 1
    assert await acquire_lease(database, "me", "2") == 2
    await release_lease(database, "1")
    lease_info = await replica.run(lease.read)
    assert lease_info is not None
    assert lease_info.refresh_id == "2"


async def test_revision_is_above_every_row(database: Database) -> None:
    """The next revision is higher than that of any row, also of an earlier version."""
    await database.run(lambda connection: countries.upsert(connection, [make_country(revision=41)]))
    assert await acquire_lease(database, "me", "1") == 42


async def test_revision_never_goes_back(database: Database) -> None:
    """Revisions continue when every row is deleted, so no version repeats."""
    await database.run(lambda connection: countries.upsert(connection, [make_country(revision=41)]))
    await acquire_lease(database, "me", "1")
    await release_lease(database, "1")
    await database.run(lambda connection: countries.remove(connection, "FR"))
    assert await acquire_lease(database, "me", "2") == 45


async def test_reserved_revision(database: Database) -> None:
    """A reserved revision is above every lease, and leaves the next one to the lease that is held."""
    assert await acquire_lease(database, "me", "1") == 1
    async with database.connect() as connection:
        reserved = await lease.reserve_revision(connection)
        assert await connection.scalar(select(reserved)) == 2
        lease_info = await lease.read(connection)
    assert lease_info is not None
    assert (lease_info.refresh_id, lease_info.revision) == ("1", 3)
    assert await acquire_lease(database, "me", "2") == 4


async def test_emptied_table(database: Database, other_database: Database) -> None:
    """A lease whose row was deleted is free, and is created again by the first that needs it."""
    for emptied in (database, other_database):
        await emptied.run(lambda connection: connection.execute(delete(leases)))
        assert await emptied.run(lease.read) is None
    assert await acquire_lease(database, "me", "1") == 1
    assert isinstance(await acquire_lease(database, "other", "2"), lease.LeaseInfo)
    async with other_database.connect() as connection:
        await countries.upsert(connection, [make_country("FR", revision=7), make_country("TR", revision=7)])
        assert await countries.remove(connection, "FR") is True
        assert await countries.load(connection) == [make_country("TR", revision=8)]


async def test_many_at_once(database: Database, replica: Database) -> None:
    """Of many processes that try at once exactly one gets the lease."""
    attempts = [
        acquire_lease(target, f"process {number}", str(number))
        for number in range(10)
        for target in ((database, replica)[number % 2],)
    ]
    results = await asyncio.gather(*attempts)
    assert [result for result in results if isinstance(result, int)] == [1]
    assert len({result for result in results if isinstance(result, lease.LeaseInfo)}) == 1

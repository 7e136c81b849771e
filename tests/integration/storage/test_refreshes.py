"""The history of refreshes: loaded unchanged, newest first, and limited in length."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest
from pydantic import TypeAdapter
from sqlalchemy import insert, select

from graphql_api.domain.history import MAX_STORED_REFRESHES, StoredAttempt
from graphql_api.domain.report import Attempt, RefreshReport
from graphql_api.storage import refreshes
from graphql_api.storage.database import Database
from graphql_api.storage.tables import refreshes as table
from tests.support.attempts import FAILURE, REPORT, make_failure, make_report


async def test_no_refreshes(database: Database) -> None:
    """A new database has no history."""
    async with database.connect() as connection:
        assert await refreshes.load(connection, after=0) == []
        assert await refreshes.load(connection, after=5) == []


@pytest.mark.parametrize("attempt", [REPORT, FAILURE])
async def test_round_trip(attempt: Attempt, database: Database) -> None:
    """A report and a failure are loaded unchanged, to the last digit."""
    async with database.connect() as connection:
        await refreshes.append(connection, attempt)
        assert await refreshes.load(connection, after=0) == [StoredAttempt(1, attempt.id, attempt)]


async def test_newest_first(database: Database) -> None:
    """The history starts with the newest attempt, and can be loaded after a number."""
    first, second, third = make_report("one"), make_failure("two"), make_report("three")
    rows = [StoredAttempt(3, "three", third), StoredAttempt(2, "two", second), StoredAttempt(1, "one", first)]
    async with database.connect() as connection:
        await refreshes.append(connection, first)
        await refreshes.append(connection, second)
        await refreshes.append(connection, third)
        assert await refreshes.load(connection, after=0) == rows
        assert await refreshes.load(connection, after=1) == rows[:2]
        assert await refreshes.load(connection, after=3) == []


async def test_an_attempt_of_another_version(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that cannot be parsed is logged and absent, without effect on the others."""
    body = '{"new": 1}'
    foreign_row = {"id": "foreign", "finished_at": FAILURE.at, "outcome": "?", "attempt": body}
    async with database.connect() as connection:
        await refreshes.append(connection, REPORT)
        await connection.execute(insert(table).values(sequence=2, **foreign_row))
        assert await refreshes.load(connection, after=0) == [
            StoredAttempt(2, "foreign", None),
            StoredAttempt(1, "report", REPORT),
        ]
    assert caplog.messages == ["Skipped the refresh foreign in the history: it cannot be parsed."]


async def test_a_report_of_version_0_1(database: Database) -> None:
    """A report from before skipped records were counted has exactly those that it names."""
    body = json.loads(TypeAdapter(RefreshReport).dump_json(REPORT))
    del body["unnamed_skipped"]
    row = {"id": REPORT.id, "finished_at": REPORT.at, "outcome": "SUCCEEDED", "attempt": json.dumps(body)}
    async with database.connect() as connection:
        await connection.execute(insert(table).values(sequence=1, **row))
        (stored,) = await refreshes.load(connection, after=0)
    assert stored.attempt == replace(REPORT, unnamed_skipped=0)


async def test_columns(database: Database) -> None:
    """End and outcome of an attempt are columns, for queries with SQL."""
    async with database.connect() as connection:
        await refreshes.append(connection, REPORT)
        await refreshes.append(connection, FAILURE)
        result = await connection.execute(select(table.c.id, table.c.finished_at, table.c.outcome))
        assert [tuple(row) for row in result] == [
            ("report", REPORT.finished_at, "SUCCEEDED"),
            ("failure", FAILURE.at, "SOURCE_UNAVAILABLE"),
        ]


async def test_one_id_once(database: Database) -> None:
    """An attempt that is stored already is not added again."""
    async with database.connect() as connection:
        await refreshes.append(connection, REPORT)
        await refreshes.append(connection, REPORT)
        assert await refreshes.load(connection, after=0) == [StoredAttempt(1, "report", REPORT)]


async def test_many_at_once(database: Database) -> None:
    """Attempts added at once get consecutive numbers, and none is lost."""
    attempts = [make_failure(f"{number}") for number in range(8)]
    tasks = [database.run(database.in_transaction(partial(refreshes.append, attempt=attempt))) for attempt in attempts]
    await asyncio.gather(*tasks)
    assert await load_sequences(database) == list(range(1, 9))
    async with database.connect() as connection:
        loaded = await refreshes.load(connection, after=0)
    assert sorted(row.id for row in loaded) == [f"{number}" for number in range(8)]


async def test_only_the_newest_are_kept(database: Database) -> None:
    """The 1,001st attempt deletes the oldest one, and no more."""
    async with database.connect() as connection:
        await refreshes.append(connection, make_failure("1"))
        body = (await connection.execute(select(table.c.attempt))).scalar_one()
        filler = [
            {"sequence": number, "id": f"{number}", "finished_at": FAILURE.at, "outcome": FAILURE.code, "attempt": body}
            for number in range(2, MAX_STORED_REFRESHES + 1)
        ]
        await connection.execute(insert(table), filler)
        assert await load_sequences(database) == list(range(1, 1001))
        await refreshes.append(connection, make_failure("1001"))
        assert await load_sequences(database) == list(range(2, 1002))
        rows = await refreshes.load(connection, after=0)
    assert (rows[0].id, len(rows), rows[0].sequence) == ("1001", 1000, 1001)


async def load_sequences(database: Database) -> list[int]:
    """Return the sequence numbers of the stored attempts."""
    async with database.connect() as connection:
        result = await connection.execute(select(table.c.sequence).order_by(table.c.sequence))
        return list(result.scalars())

"""Memory between two full collections: a refresh leaves nothing large for the garbage collector."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from graphql_api.domain.country import Country
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.execution.executor import BoundedExecutor
from graphql_api.refresh.lease_session import LeaseSession
from graphql_api.sources.provider_cache import ProviderCache
from tests.support.refresh_service import ServiceInstance
from tests.support.schema_client import client_for

LARGE = (Country, Snapshot, SnapshotReader, ProviderCache, LeaseSession, BoundedExecutor)
"""Classes whose objects refer to all rows, or to all that a provider sent."""


@pytest.fixture
def garbage() -> Iterator[list[object]]:
    """Turn the collector off, and return the list to which `gc.collect` moves what it would free."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


async def test_refresh_without_collector(instance: ServiceInstance, garbage: list[object]) -> None:
    """The former snapshot is freed when the next one is published, and so is all that a refresh has fetched."""
    client, derived = client_for(instance), []
    for _ in range(3):
        await client.query("mutation { refreshCountries { totalCountries } }")
        await client.query("{ status { version } countries { nodes { name } } }")
        await instance.service.close()
        derived.append(weakref.ref(instance.catalog.snapshot.derived))
    assert [reference() is not None for reference in derived] == [False, False, True]
    gc.collect()
    assert [value for value in garbage if isinstance(value, LARGE)] == []

"""Memory between two full collections: a refresh leaves nothing large for the garbage collector."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from tests.support.refresh_service import ServiceInstance
from tests.support.schema_client import client_for


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
    assert {type(value).__qualname__ for value in garbage if type(value).__module__.startswith("graphql_api")} == set()

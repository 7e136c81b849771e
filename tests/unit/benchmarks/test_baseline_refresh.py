"""The original case's implementations cost their documented round trips."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, make_url

from benchmarks.baseline_refresh import Base, BaselineRefresh, RefreshMethod
from benchmarks.refresh_environment import RefreshEnvironment, refresh_environment
from tests.support.db_servers.mariadb import MariaDB


@pytest.fixture
def environment(mariadb: MariaDB) -> Iterator[RefreshEnvironment]:
    """Yield an environment with a nearby database."""
    with refresh_environment(mariadb) as environment:
        yield environment


@pytest.fixture
def baseline(environment: RefreshEnvironment) -> Iterator[BaselineRefresh]:
    """Yield the original case, with filled tables and an open connection."""
    engine = create_engine(make_url(environment.url).set(drivername="mysql+pymysql"))
    urls = {"countries_url": environment.upstream.countries_url, "rates_url": environment.upstream.rates_url}
    baseline = BaselineRefresh(engine=engine, **urls)
    Base.metadata.create_all(engine)
    baseline.upsert_in_batches()
    yield baseline
    engine.dispose()


@pytest.mark.parametrize(
    ("method", "trips"),
    [
        (BaselineRefresh.update_in_loop, 253),
        (BaselineRefresh.bulk_update, 253),
        (BaselineRefresh.upsert_in_batches, 14),
    ],
)
def test_round_trips(
    method: RefreshMethod, trips: int, environment: RefreshEnvironment, baseline: BaselineRefresh
) -> None:
    """Over an open connection, every round trip follows the last source's response."""
    method(baseline)
    cost = environment.measure(lambda: method(baseline))
    assert (cost.trips_after_sources, cost.trips) == (trips, trips)

"""The original case's ways, made anew, cost the round trips that are told of them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, make_url

from benchmarks.baseline_refresh import Base, BaselineRefresh, RefreshMethod
from benchmarks.refresh_environment import RefreshEnvironment, refresh_environment
from tests.support.db_servers.mariadb import MariaDB


@pytest.fixture
def stage(mariadb: MariaDB) -> Iterator[RefreshEnvironment]:
    """Lend a stage that is near."""
    with refresh_environment(mariadb) as stage:
        yield stage


@pytest.fixture
def case(stage: RefreshEnvironment) -> Iterator[BaselineRefresh]:
    """Lend the case, with its tables filled and its connection open."""
    engine = create_engine(make_url(stage.url).set(drivername="mysql+pymysql"))
    urls = {"countries_url": stage.upstream.countries_url, "rates_url": stage.upstream.rates_url}
    case = BaselineRefresh(engine=engine, **urls)
    Base.metadata.create_all(engine)
    case.upsert_in_batches()
    yield case
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
    method: RefreshMethod, trips: int, stage: RefreshEnvironment, case: BaselineRefresh
) -> None:
    """Over an open connection, every round trip comes after the last source has answered."""
    method(case)
    cost = stage.measure(lambda: method(case))
    assert (cost.trips_after_sources, cost.trips) == (trips, trips)

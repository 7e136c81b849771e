"""The original case's ways, made anew, cost the round trips that are told of them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, make_url

from benchmarks.original import Base, Case, Method
from benchmarks.stage import Stage, staged
from tests.servers.mariadb import MariaDB


@pytest.fixture
def stage(mariadb: MariaDB) -> Iterator[Stage]:
    """Lend a stage that is near."""
    with staged(mariadb) as stage:
        yield stage


@pytest.fixture
def case(stage: Stage) -> Iterator[Case]:
    """Lend the case, with its tables filled and its connection open."""
    engine = create_engine(make_url(stage.url).set(drivername="mysql+pymysql"))
    urls = {"countries_url": stage.upstream.countries_url, "rates_url": stage.upstream.rates_url}
    case = Case(engine=engine, **urls)
    Base.metadata.create_all(engine)
    case.batches()
    yield case
    engine.dispose()


@pytest.mark.parametrize(
    ("method", "trips"), [(Case.loop, 253), (Case.bulk, 253), (Case.batches, 14)]
)
def test_round_trips(method: Method, trips: int, stage: Stage, case: Case) -> None:
    """Over an open connection, every round trip comes after the last source has answered."""
    method(case)
    cost = stage.measure(lambda: method(case))
    assert (cost.trips_after_sources, cost.trips) == (trips, trips)

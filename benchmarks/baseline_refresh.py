"""The original case's three implementations of a refresh, rebuilt from their descriptions.

Countries are identified by name, sessions are synchronous, and sessions commit: the first, second
and third version that a developer writes.
"""

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from random import randint
from typing import Any

import httpx
from sqlalchemy import Engine, String, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

_BATCH_SIZE = 100
_DEFUNCT_COUNTRIES = {"AN", "CS"}
"""Dissolved countries in geonames' table."""
_TIMEOUT = 60.0
"""Seconds for one source."""

Row = dict[str, Any]


class Base(DeclarativeBase):
    """Base of the original case's tables."""


class Country(Base):
    """A country, identified by its name."""

    __tablename__ = "countries"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    capital: Mapped[str | None] = mapped_column(String(200))
    region: Mapped[str | None] = mapped_column(String(200))
    population: Mapped[int]
    currency_code: Mapped[str | None] = mapped_column(String(3))
    exchange_rate: Mapped[float | None]
    estimated_gdp: Mapped[float | None]
    flag_url: Mapped[str | None] = mapped_column(String(200))
    last_refreshed_at: Mapped[datetime]


class Status(Base):
    """The single row about the last refresh."""

    __tablename__ = "status"

    id: Mapped[int] = mapped_column(primary_key=True)
    total_countries: Mapped[int]
    last_refreshed_at: Mapped[datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRefresh:
    """The original case's refresh, with the URLs of geonames' table and er-api's rates."""

    engine: Engine
    countries_url: str
    rates_url: str

    def update_in_loop(self) -> None:
        """Fetch sequentially, and set the attributes of one object after another."""
        rows = _parse_rows(_fetch(self.countries_url), _fetch(self.rates_url))
        with Session(self.engine) as session:
            names = [row["name"] for row in rows]
            existing = session.scalars(select(Country).where(Country.name.in_(names)))
            stored = {country.name: country for country in existing}
            for row in rows:
                country = stored.get(row["name"])
                if country is None:
                    session.add(Country(**row))
                    continue
                for name, value in row.items():
                    setattr(country, name, value)
            session.commit()

    def bulk_update(self) -> None:
        """Fetch sequentially, and pass all rows to one update by key."""
        rows = _parse_rows(_fetch(self.countries_url), _fetch(self.rates_url))
        with Session(self.engine) as session:
            stored = session.execute(select(Country.name, Country.id))
            ids = {row.name: row.id for row in stored}
            session.add_all(Country(**row) for row in rows if row["name"] not in ids)
            existing_rows = [{**row, "id": ids[row["name"]]} for row in rows if row["name"] in ids]
            session.execute(update(Country), existing_rows)
            session.commit()

    def upsert_in_batches(self) -> None:
        """Fetch concurrently, write 100 rows per statement, and read the summary afterwards."""
        with ThreadPoolExecutor() as pool:
            rows = _parse_rows(*pool.map(_fetch, (self.countries_url, self.rates_url)))
        with Session(self.engine) as session:
            for start in range(0, len(rows), _BATCH_SIZE):
                session.execute(_UPSERT, rows[start : start + _BATCH_SIZE])
            session.commit()
            status = session.get(Status, 1)
            if status is None:
                status = Status(id=1)
            status.total_countries = session.scalars(select(func.count(Country.id))).one()
            status.last_refreshed_at = rows[0]["last_refreshed_at"]
            session.add(status)
            session.commit()
            _summarize(session, status)


RefreshMethod = Callable[[BaselineRefresh], None]

_COLUMN_NAMES = [column.name for column in Country.__table__.columns if column.name != "id"]
_UPSERT = text(
    f"INSERT INTO countries ({', '.join(_COLUMN_NAMES)}) "  # noqa: S608 - the names are constants of this module
    f"VALUES ({', '.join(f':{name}' for name in _COLUMN_NAMES)}) ON DUPLICATE KEY UPDATE "
    + ", ".join(f"{name} = VALUES({name})" for name in _COLUMN_NAMES if name != "name")
)


def _summarize(session: Session, status: Status) -> str:
    """Return the image's text. The status is read again because the commit expired it."""
    order = Country.estimated_gdp.desc()
    top = session.scalars(select(Country).order_by(order).limit(5)).all()
    names = ", ".join(country.name for country in top)
    return f"{status.total_countries} countries at {status.last_refreshed_at}; {names}"


def _fetch(url: str) -> httpx.Response:
    return httpx.get(url, timeout=_TIMEOUT, trust_env=False).raise_for_status()


def _parse_rows(countries: httpx.Response, rates: httpx.Response) -> list[Row]:
    rates_by_currency = rates.json()["rates"]
    now = datetime.now(UTC).replace(tzinfo=None)
    return [_build_row(record, rates_by_currency, now) for record in _parse_records(countries.text)]


def _parse_records(table: str) -> Iterator[Row]:
    lines = table.splitlines()
    header_line = next(line for line in lines if line.startswith("#ISO\t"))
    data_lines = (line for line in lines if not line.startswith("#"))
    for record in csv.DictReader(data_lines, header_line[1:].split("\t"), delimiter="\t"):
        if record["ISO"] not in _DEFUNCT_COUNTRIES:
            yield record


def _build_row(record: Row, rates_by_currency: dict[str, float], now: datetime) -> Row:
    population, rate = int(record["Population"]), rates_by_currency.get(record["CurrencyCode"])
    multiplier = randint(1000, 2000)  # noqa: S311 - no secret
    return {
        "name": record["Country"],
        "capital": record["Capital"] or None,
        "region": record["Continent"],
        "population": population,
        "currency_code": record["CurrencyCode"] or None,
        "exchange_rate": rate,
        "estimated_gdp": population * multiplier / rate if rate else None,
        "flag_url": f"https://flagcdn.com/{record['ISO'].lower()}.svg",
        "last_refreshed_at": now,
    }

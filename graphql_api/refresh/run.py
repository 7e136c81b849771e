"""One refresh, from its first question to its report: all or nothing in the database."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from graphql_api.catalog import Catalog
from graphql_api.domain.country import BUNDLED
from graphql_api.domain.merging import Findings, Merge, Provenance, merge
from graphql_api.domain.report import RefreshReport, SourceKind, SourceReport, Timings, Trigger
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import SourceInvalid, SourceUnavailable
from graphql_api.refresh.progress import Phase, Telling
from graphql_api.refresh.session import Session
from graphql_api.sources import countries, rates
from graphql_api.sources.countries import CountryList
from graphql_api.sources.fetching import Dated, Fetched, Hearing, Means, fetch_first, ignore
from graphql_api.sources.keeping import Memory
from graphql_api.sources.provider import Provider, RawCountries, RawRates
from graphql_api.sources.rates import RateTable
from graphql_api.sources.retries import Retries
from graphql_api.sources.web import Web

logger = logging.getLogger(__name__)

D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Whom to ask, and how long to wait, in seconds."""

    countries: Sequence[Provider[RawCountries]]
    rates: Sequence[Provider[RawRates]]
    seconds_each: float
    """For one provider, from connecting to its last byte."""
    seconds_together: float
    """For all fetching of a refresh."""
    retries: Retries = field(default_factory=Retries)
    heard: Callable[[Hearing], None] = ignore
    """Is told of what each provider gives; must return at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOrder:
    """What is asked of a refresh."""

    trigger: Trigger = Trigger.REQUEST
    force: bool = False
    """Whether providers are asked that are known to have nothing new."""
    wait: bool = True
    """Whether to wait for a refresh that runs already, and have its report."""


@dataclass(frozen=True, slots=True)
class _Fetch:
    countries: Fetched[CountryList]
    rates: Fetched[RateTable]
    milliseconds: float

    @property
    def findings(self) -> Findings:
        figures, rates = self.countries.report, self.rates.report
        return Findings(
            figures=self.countries.data.figures,
            figures_from=Provenance(provider=figures.provider, as_of=figures.as_of),
            rates=self.rates.data.rates,
            rates_from=Provenance(provider=rates.provider, as_of=rates.as_of),
        )


@dataclass(frozen=True, slots=True)
class _Write:
    merge: Merge
    statements: int
    transform_ms: float
    upsert_ms: float
    image_ms: float | None


@dataclass(slots=True, kw_only=True)
class Run:
    """A refresh that may be performed once."""

    telling: Telling
    sources: Sources
    order: RefreshOrder
    catalog: Catalog
    web: Web
    session: Session
    admit: Callable[[], None]
    """Is asked once all is known that other processes have done; refuses by an exception."""
    clock: Callable[[], datetime]
    started_at: datetime | None = field(default=None, init=False)
    writing: bool = field(default=False, init=False)
    """Whether the database may have got the rows: what is committed must be published too."""
    heard: Memory = field(default=Memory(), init=False)
    """What is to be remembered of the providers' answers, once the refresh has succeeded."""
    answers: int = field(default=0, init=False)
    """Of how many kinds the data is at hand."""

    @property
    def id(self) -> str:
        """Return the refresh's id."""
        return self.telling.refresh_id

    async def perform(self) -> RefreshReport:
        """Fetch, write and publish.

        Raises:
            HeldElsewhere: another process refreshes.
            RefreshTooSoon: it is not admitted.
            SourceUnavailable, SourceInvalid, RefreshInProgress: nothing was changed.
            DatabaseUnavailable: nothing was changed, or, where the answer was lost, all.
        """
        started_at, counter = self.clock(), time.perf_counter()
        self.started_at = started_at
        fetch = await self._prepare(started_at)
        async with self.catalog.writing:
            write = await self._write(fetch, started_at)
            self.heard = Memory(countries=fetch.countries.keep, rates=fetch.rates.keep)
            report = RefreshReport(
                id=self.id,
                started_at=started_at,
                finished_at=self.clock(),
                version=write.merge.snapshot.version,
                inserted=write.merge.inserted,
                updated=write.merge.updated,
                unchanged=write.merge.unchanged,
                missing=write.merge.missing,
                skipped=fetch.countries.data.skipped,
                statements=write.statements,
                timings=_timings(fetch, write, counter),
                sources=(fetch.countries.report, fetch.rates.report),
                trigger=self.order.trigger,
            )
            self.catalog.publish(write.merge.snapshot, report, self.heard)
        return report

    async def _prepare(self, now: datetime) -> _Fetch:
        """Fetch while the session opens, each within its own time; what fails stops the other."""
        if self.session.seems_held_elsewhere:
            # It will most likely be refused, and then nobody has been asked in vain.
            await self._open()
        try:
            async with asyncio.TaskGroup() as group:
                fetching = group.create_task(self._fetch(now))
                group.create_task(self._open())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return fetching.result()

    async def _fetch(self, now: datetime) -> _Fetch:
        self.telling.tell(Phase.FETCHING, 0.05, "Fetching countries and exchange rates")
        started = time.perf_counter()
        failures: dict[SourceKind, list[str]] = {kind: [] for kind in SourceKind}
        try:
            async with asyncio.timeout(self.sources.seconds_together):
                listed, table = await self._fetch_all(now, failures)
        except TimeoutError:
            reasons = "".join(f"; {reason}" for kind in failures.values() for reason in kind)
            raise SourceUnavailable(
                f"The sources did not answer within {self.sources.seconds_together:g} s{reasons}."
            ) from None
        return _Fetch(listed, table, _since(started))

    async def _fetch_all(
        self, now: datetime, failures: Mapping[SourceKind, list[str]]
    ) -> tuple[Fetched[CountryList], Fetched[RateTable]]:
        """Ask for both kinds at once; the one that fails stops the other."""
        means = Means(
            web=self.web,
            now=now,
            seconds_each=self.sources.seconds_each,
            retries=self.sources.retries,
            heard=self.sources.heard,
        )
        memory = Memory() if self.order.force else self.catalog.memory
        try:
            async with asyncio.TaskGroup() as group:
                asked_countries = fetch_first(
                    SourceKind.COUNTRIES,
                    self.sources.countries,
                    lambda raw: countries.check(raw, self.catalog.reference),
                    means=means,
                    kept=memory.countries,
                    failures=failures[SourceKind.COUNTRIES],
                )
                asked_rates = fetch_first(
                    SourceKind.RATES,
                    self.sources.rates,
                    rates.check,
                    means=means,
                    kept=memory.rates,
                    failures=failures[SourceKind.RATES],
                )
                listed = group.create_task(
                    self._heard(asked_countries, lambda data: f"{len(data.figures)} countries")
                )
                table = group.create_task(
                    self._heard(asked_rates, lambda data: f"{len(data.rates)} rates")
                )
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return listed.result(), table.result()

    async def _heard(
        self, asked: Awaitable[Fetched[D]], describe: Callable[[D], str]
    ) -> Fetched[D]:
        """Tell who has given the data of one kind, and how much of it."""
        fetched = await asked
        self.answers += 1
        report = fetched.report
        how = "answered" if report.live else "was not asked"
        message = f"{report.provider} {how}: {describe(fetched.data)}"
        self.telling.tell(Phase.FETCHING, 0.05 + 0.3 * self.answers, message)
        return fetched

    async def _open(self) -> None:
        await self.session.opened()
        self.admit()

    async def _write(self, fetch: _Fetch, refreshed_at: datetime) -> _Write:
        """Merge into what is stored, and write."""
        self.telling.tell(Phase.TRANSFORMING, 0.7, "Merging")
        started = time.perf_counter()
        refuse_unfit(fetch.countries, fetch.rates, self.catalog.snapshot)
        merged = merge(
            fetch.findings,
            self.catalog.snapshot,
            reference=self.catalog.reference,
            refreshed_at=refreshed_at,
            revision=self.session.revision,
        )
        return await self._upsert(merged, _since(started))

    async def _upsert(self, merged: Merge, transform_ms: float) -> _Write:
        """Write the rows while the picture is drawn in a thread."""
        self.telling.tell(Phase.UPSERTING, 0.75, f"Writing {len(merged.rows)} countries")
        drawing = asyncio.create_task(self._draw(merged.snapshot))
        self.writing = True
        started = time.perf_counter()
        try:
            statements = await self.session.store(merged.rows)
        except BaseException:
            drawing.cancel()
            raise
        upsert_ms = _since(started)
        self.telling.tell(Phase.DRAWING, 0.9, "Drawing the summary")
        return _Write(merged, statements, transform_ms, upsert_ms, await drawing)

    async def _draw(self, snapshot: Snapshot) -> float | None:
        started = time.perf_counter()
        try:
            await self.catalog.pictures.of(snapshot)
        except Exception:
            # The data are right without it, and whoever asks for the picture draws it again.
            logger.exception("The summary picture could not be drawn.")
            return None
        return _since(started)


def refuse_unfit(listed: Fetched[CountryList], table: Fetched[RateTable], stored: Snapshot) -> None:
    """Refuse data that would make what is stored worse.

    Raises:
        SourceUnavailable: only bundled data is at hand, and live data is stored.
        SourceInvalid: less than half of the stored countries are listed.
    """
    _refuse_bundled(listed.report, stored.has_live_figures)
    _refuse_bundled(table.report, stored.has_live_rates)
    if len(listed.data.figures) * 2 < len(stored.rows):
        raise SourceInvalid(
            f"{listed.report.provider} lists {len(listed.data.figures)} usable countries, less "
            f"than half of the {len(stored.rows)} stored; nothing was changed."
        )


def _refuse_bundled(report: SourceReport, stored_live: bool) -> None:
    if report.provider == BUNDLED and stored_live:
        reasons = "; ".join(report.failures) or "no live source is configured"
        raise SourceUnavailable(
            f"No live source of {report.kind} could be used, and bundled data never replaces "
            f"live data. {reasons}."
        )


def _timings(fetch: _Fetch, write: _Write, started: float) -> Timings:
    return Timings(
        fetch_countries_ms=fetch.countries.milliseconds,
        fetch_rates_ms=fetch.rates.milliseconds,
        fetch_ms=fetch.milliseconds,
        transform_ms=write.transform_ms,
        upsert_ms=write.upsert_ms,
        image_ms=write.image_ms,
        total_ms=_since(started),
    )


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)

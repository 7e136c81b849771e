"""The refresh: one at a time in this process, whoever asks; all or nothing in the database."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from graphql_api.catalog import Catalog
from graphql_api.domain.merging import Findings, Merge, Provenance, merge
from graphql_api.domain.report import (
    Attempt,
    RefreshFailure,
    RefreshReport,
    SourceKind,
    SourceReport,
    Timings,
)
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import CountriesError, SourceInvalid, SourceUnavailable
from graphql_api.refresh import waiting
from graphql_api.refresh.progress import Observer, Phase, Progress
from graphql_api.refresh.session import HeldElsewhere, Session
from graphql_api.sources import countries, rates
from graphql_api.sources.countries import CountryList
from graphql_api.sources.fetching import Fetched, Means, fetch_first
from graphql_api.sources.provider import Provider, RawCountries, RawRates
from graphql_api.sources.rates import RateTable
from graphql_api.sources.retries import Retries
from graphql_api.storage.engine import Database

logger = logging.getLogger(__name__)

_SPARE = 60
"""Seconds that a refresh has for all but fetching before its lease runs out."""


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


@dataclass(frozen=True, slots=True)
class _Start:
    id: str
    at: datetime
    counter: float
    """What `time.perf_counter` said."""


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
class RefreshService:
    """Runs refreshes over one catalog and one HTTP client."""

    database: Database
    catalog: Catalog
    client: httpx.AsyncClient
    sources: Sources
    holder: str
    """Names this process among those that refresh the same database."""
    clock: Callable[[], datetime]
    """Returns the present instant, in UTC."""
    new_id: Callable[[], str]
    _running: asyncio.Task[RefreshReport] | None = field(default=None, init=False)
    _committing: bool = field(default=False, init=False)
    _tails: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _closing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def running(self) -> bool:
        """Tell whether a refresh runs in this process."""
        return self._running is not None and not self._running.done()

    async def refresh(self, observe: Observer = lambda _: None) -> RefreshReport:
        """Run a refresh, or join the one that runs; a caller that goes away does not stop it.

        A refresh that another process runs is waited for, and its report or error is the answer.
        `observe` is told of a refresh that this call starts.

        Raises:
            SourceUnavailable, SourceInvalid, RefreshInProgress, DatabaseUnavailable: nothing was
                changed, and the history has the failure.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(self.sources, observe))
            # A failure is logged where it happens; every caller may have gone away by then.
            self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._running)

    async def load_bundled(self) -> RefreshReport:
        """Fill the catalog from the bundled data, without asking anybody."""
        bundled = Sources(
            countries=[provider for provider in countries.PROVIDERS.values() if not provider.live],
            rates=[provider for provider in rates.PROVIDERS.values() if not provider.live],
            seconds_each=self.sources.seconds_each,
            seconds_together=self.sources.seconds_together,
        )
        return await self._run(bundled, lambda _: None)

    async def close(self) -> None:
        """Stop a refresh that still fetches, and wait for one that writes and for what follows."""
        if self._running is not None and not self._running.done():
            # What is committed must be published, and told in the history.
            if not self._committing:
                self._running.cancel()
            await asyncio.wait([self._running])
        if self._tails:
            await asyncio.wait(self._tails)

    async def _run(self, sources: Sources, observe: Observer) -> RefreshReport:
        """Refresh, or return the report of another process that refreshes already."""
        observe(Progress(Phase.STARTED, 0, "Started"))
        while True:
            try:
                return await self._run_here(sources, observe)
            except HeldElsewhere as error:
                observe(Progress(Phase.FETCHING, 0.05, "Waiting for another process's refresh"))
                report = await waiting.outcome(
                    error.held, database=self.database, catalog=self.catalog
                )
                if report is not None:
                    observe(Progress(Phase.DONE, 1, "Done by another process"))
                    return report

    async def _run_here(self, sources: Sources, observe: Observer) -> RefreshReport:
        start = _Start(self.new_id(), self.clock(), time.perf_counter())
        session = Session(
            self.database,
            self.catalog,
            refresh_id=start.id,
            holder=self.holder,
            seconds=sources.seconds_together + _SPARE,
        )
        attempt: Attempt | None = None
        try:
            fetch = await self._fetch(sources, session, observe)
            async with self.catalog.writing:
                write = await self._write(fetch, session, start.at, observe)
                attempt = report = _report(start, fetch, write, finished_at=self.clock())
                self.catalog.publish(write.merge.snapshot, report)
        except HeldElsewhere:
            raise
        except CountriesError as error:
            observe(Progress(Phase.FAILED, 1, error.public))
            logger.warning("Refresh %s failed: %s: %s", start.id, error.code, error)
            attempt = RefreshFailure(
                id=start.id, at=self.clock(), code=error.code, message=error.public
            )
            self.catalog.remember(attempt)
            raise
        except Exception:
            observe(Progress(Phase.FAILED, 1, "An internal error"))
            logger.exception("Refresh %s broke off.", start.id)
            raise
        finally:
            self._committing = False
            self._follow_up(session, attempt)
        observe(Progress(Phase.DONE, 1, "Done"))
        _log(report)
        return report

    async def _fetch(self, sources: Sources, session: Session, observe: Observer) -> _Fetch:
        observe(Progress(Phase.FETCHING, 0.05, "Fetching countries and exchange rates"))
        started = time.perf_counter()
        failures: dict[SourceKind, list[str]] = {kind: [] for kind in SourceKind}
        try:
            async with asyncio.timeout(sources.seconds_together):
                listed, table = await self._fetch_all(sources, session, failures)
        except TimeoutError:
            reasons = "".join(f"; {reason}" for kind in failures.values() for reason in kind)
            raise SourceUnavailable(
                f"The sources did not answer within {sources.seconds_together:g} s{reasons}."
            ) from None
        return _Fetch(listed, table, _since(started))

    async def _fetch_all(
        self, sources: Sources, session: Session, failures: Mapping[SourceKind, list[str]]
    ) -> tuple[Fetched[CountryList], Fetched[RateTable]]:
        """Ask for both kinds at once, while the session opens; what fails stops the others."""
        means = Means(
            client=self.client, seconds_each=sources.seconds_each, retries=sources.retries
        )
        try:
            async with asyncio.TaskGroup() as group:
                listed = group.create_task(
                    fetch_first(
                        SourceKind.COUNTRIES,
                        sources.countries,
                        lambda raw: countries.check(raw, self.catalog.reference),
                        means=means,
                        failures=failures[SourceKind.COUNTRIES],
                    )
                )
                table = group.create_task(
                    fetch_first(
                        SourceKind.RATES,
                        sources.rates,
                        rates.check,
                        means=means,
                        failures=failures[SourceKind.RATES],
                    )
                )
                group.create_task(session.opened())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return listed.result(), table.result()

    async def _write(
        self, fetch: _Fetch, session: Session, refreshed_at: datetime, observe: Observer
    ) -> _Write:
        """Merge into what is stored, and write."""
        observe(Progress(Phase.TRANSFORMING, 0.7, "Merging"))
        started = time.perf_counter()
        refuse_unfit(fetch.countries, fetch.rates, self.catalog.snapshot)
        merged = merge(
            fetch.findings,
            self.catalog.snapshot,
            reference=self.catalog.reference,
            refreshed_at=refreshed_at,
            revision=session.revision,
        )
        return await self._upsert(merged, session, _since(started), observe)

    async def _upsert(
        self, merged: Merge, session: Session, transform_ms: float, observe: Observer
    ) -> _Write:
        """Write the rows while the picture is drawn in a thread."""
        observe(Progress(Phase.UPSERTING, 0.75, f"Writing {len(merged.rows)} countries"))
        drawing = asyncio.create_task(self._draw(merged.snapshot))
        self._committing = True
        started = time.perf_counter()
        try:
            statements = await session.store(merged.rows)
        except BaseException:
            drawing.cancel()
            raise
        upsert_ms = _since(started)
        observe(Progress(Phase.DRAWING, 0.9, "Drawing the summary"))
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

    def _follow_up(self, session: Session, attempt: Attempt | None) -> None:
        """Do what nobody needs to wait for: write the attempt down, let the database go."""
        tail = asyncio.create_task(self._close(session, attempt))
        self._tails.add(tail)
        tail.add_done_callback(self._tails.discard)

    async def _close(self, session: Session, attempt: Attempt | None) -> None:
        # One after another: the database tells the order of attempts by the order of writing.
        async with self._closing:
            await session.close(attempt)


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
    if not report.live and stored_live:
        reasons = "; ".join(report.failures) or "no live source is configured"
        raise SourceUnavailable(
            f"No live source of {report.kind} could be used, and bundled data never replaces "
            f"live data. {reasons}."
        )


def _report(start: _Start, fetch: _Fetch, write: _Write, *, finished_at: datetime) -> RefreshReport:
    return RefreshReport(
        id=start.id,
        started_at=start.at,
        finished_at=finished_at,
        version=write.merge.snapshot.version,
        inserted=write.merge.inserted,
        updated=write.merge.updated,
        unchanged=write.merge.unchanged,
        missing=write.merge.missing,
        skipped=fetch.countries.data.skipped,
        statements=write.statements,
        timings=_timings(fetch, write, start.counter),
        sources=(fetch.countries.report, fetch.rates.report),
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


def _log(report: RefreshReport) -> None:
    timings = report.timings
    providers = ", ".join(
        f"{source.kind} from {source.provider}"
        + (f" after {'; '.join(source.failures)}" if source.failures else "")
        for source in report.sources
    )
    logger.info(
        "Refresh %s: %d countries (%d new, %d changed, %d unchanged), %s; "
        "fetch %.0f ms, transform %.0f ms, upsert %.0f ms, total %.0f ms",
        report.id,
        report.total_countries,
        report.inserted,
        report.updated,
        report.unchanged,
        providers,
        timings.fetch_ms,
        timings.transform_ms,
        timings.upsert_ms,
        timings.total_ms,
    )

"""Components that a server and the `refresh` command share, built from the settings."""

import asyncio
import logging
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from graphql_api import __version__, tracing
from graphql_api.catalog import Catalog
from graphql_api.errors import InvalidSetting, SourceUnavailable
from graphql_api.execution.limits import QueryLimits
from graphql_api.http.auth import BearerTokens
from graphql_api.images.cache import SummaryImageCache
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.metrics.sampler import Sampler
from graphql_api.refresh.service import RefreshLimits, RefreshService
from graphql_api.refresh.sources import SourceConfig
from graphql_api.settings import Settings
from graphql_api.sources.fetch import LazyHTTPClient
from graphql_api.sources.reference import load_reference
from graphql_api.sources.registry import COUNTRIES_PROVIDERS, RATES_PROVIDERS, STATISTICS_PROVIDERS, select_providers
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate
from graphql_api.utils.lazy import Lazy

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

REREAD_FILES_KEY = "reread_files"
"""Key of the lifespan state under which the server finds what to call on SIGHUP."""


class Components:
    """Database, catalog, providers' client, refresh service and metrics of one process."""

    def __init__(self, settings: Settings, metrics: MetricsRecorder | None = None) -> None:
        """Build the components without opening anything. Default metrics: this process's own.

        Raises:
            InvalidSetting: a component rejects a setting.
        """
        tracing.check_configuration()
        self.settings = settings
        self.stale_after = timedelta(seconds=settings.stale_after)
        self.admin_tokens = BearerTokens(settings.admin_tokens)
        self.metrics_tokens = BearerTokens(settings.metrics_tokens)
        self.metrics = metrics or MetricsRecorder.standalone()
        self.query_limits = QueryLimits.with_overrides(settings.query_limits)
        self.database = _build_database(settings)
        if tracing.is_configured():
            self.database.trace_statements()
        self.catalog = Catalog(self.database, load_reference(), clock=utc_now)
        self.summary_images = SummaryImageCache()
        self.http_client: LazyHTTPClient = Lazy(_create_http_client)
        self.refresh_service = RefreshService(
            database=self.database,
            catalog=self.catalog,
            summary_images=self.summary_images,
            http_client=self.http_client,
            sources=_build_source_config(settings, self.metrics),
            limits=RefreshLimits(
                min_interval=timedelta(seconds=settings.effective_refresh_min_interval),
                max_waiting=settings.refresh_max_waiting,
            ),
            holder=uuid.uuid4().hex,
            clock=utc_now,
            new_id=lambda: uuid.uuid4().hex,
            on_attempt=self.metrics.record_refresh,
        )
        self.sampler = Sampler(self.metrics, self.refresh_service, self.stale_after)

    def reread_secrets(self) -> None:
        """Take tokens and keys of providers from their files again. If one is unusable, keep all as they are."""
        names = ", ".join(f"{name.upper()}_FILE" for name in self.settings.secret_files)
        try:
            settings = self.settings.reread_secrets()
        except InvalidSetting as error:
            logger.error("%s Nothing of %s is used; secrets stay as they were.", error, names)  # noqa: TRY400 - no defect
            return
        self.admin_tokens.replace(settings.admin_tokens)
        self.metrics_tokens.replace(settings.metrics_tokens)
        self.refresh_service.sources = _build_source_config(settings, self.metrics)
        logger.info("Read %s again; %d administrator's tokens are accepted.", names, len(self.admin_tokens))
        if settings.database_url != self.settings.database_url:
            logger.warning("DATABASE_URL_FILE has changed; restart the server to use it.")

    async def open(self) -> None:
        """Migrate the database and load its data. May be called again after a failure.

        If the database has lost its rows, the rows loaded before are written to it.

        Raises:
            DatabaseUnavailable: the database cannot be used.
        """
        tracing.start()
        with self.catalog.tracking_availability():
            if await migrate(self.database):
                logger.info("Migrated the database at %s", self.database)
            await self.catalog.restore()
            await self.catalog.sync()

    async def open_and_seed(self) -> None:
        """Open, and fill an empty database from the bundled data.

        Raises:
            DatabaseUnavailable: the database cannot be used.
            RefreshInProgress: another process is writing to the database.
        """
        await self.open()
        if self.catalog.snapshot.rows:
            return
        try:
            with self.catalog.tracking_availability():
                await self.refresh_service.load_bundled()
        except SourceUnavailable:
            # Another process on the same database may have stored live data meanwhile.
            if not self.catalog.snapshot.rows:
                raise

    async def close(self) -> None:
        """Finish the follow-up of refreshes, then close every connection."""
        await self.refresh_service.close()
        if self.http_client.value is not None:
            await self.http_client.value.aclose()
        await self.database.dispose()
        await asyncio.to_thread(tracing.stop)


async def migrate_database(settings: Settings) -> bool:
    """Migrate the database to this version's tables; return whether there was anything to do.

    Raises:
        InvalidSetting: DATABASE_URL or DATABASE_SSL_CA is invalid.
        DatabaseUnavailable: the database cannot be used.
    """
    database = _build_database(settings)
    try:
        return await migrate(database)
    finally:
        await database.dispose()


def _build_database(settings: Settings) -> Database:
    database = Database(
        settings.database_url,
        timeout=settings.database_timeout,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        ssl_ca=settings.database_ssl_ca,
    )
    if settings.log_sql:
        database.log_statements()
    return database


def _create_http_client() -> "httpx.AsyncClient":
    from graphql_api.sources.http_client import create_client  # noqa: PLC0415 - imports httpx

    return create_client(f"graphql-api/{__version__}")


def _build_source_config(settings: Settings, metrics: MetricsRecorder) -> SourceConfig:
    keys = settings.provider_keys
    countries, rates = settings.countries_sources, settings.rates_sources
    return SourceConfig(
        countries=select_providers("COUNTRIES_SOURCES", countries, COUNTRIES_PROVIDERS, keys),
        rates=select_providers("RATES_SOURCES", rates, RATES_PROVIDERS, keys),
        statistics=select_providers("STATISTICS_SOURCES", settings.statistics_sources, STATISTICS_PROVIDERS, keys),
        api_timeout=settings.api_timeout,
        refresh_timeout=settings.refresh_timeout,
        on_fetch=metrics.record_fetch,
    )


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)

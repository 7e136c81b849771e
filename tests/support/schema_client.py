"""A client of the schema without HTTP, over given rows or a refresh service."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country, Reference
from graphql_api.execution.engine import Schema, build_schema
from graphql_api.execution.execute import QUERIES_AND_MUTATIONS, execute
from graphql_api.execution.messages import GraphQLRequest, GraphQLResponse
from graphql_api.http.auth import ADMIN_REQUIRED
from graphql_api.http.graphql.endpoint import encode_json
from graphql_api.images.cache import SummaryImageCache
from graphql_api.refresh.service import RefreshLimits, RefreshService
from graphql_api.refresh.sources import SourceConfig
from graphql_api.schema.context import GraphQLContext
from graphql_api.sources.fetch import LazyHTTPClient
from graphql_api.sources.http_client import create_client
from graphql_api.storage.database import Database
from graphql_api.utils.lazy import Lazy
from tests.support.factories import REFRESHED_AT, make_snapshot
from tests.support.refresh_service import ServiceInstance

SCHEMA = build_schema(introspection=True)
PUBLIC_URL = "https://countries.example/api"
REQUEST_ID = "request-7"
STALE_AFTER = timedelta(days=1)
_UNOPENED_DATABASE = Database("sqlite:///never-opened.db", timeout=1)
_UNUSED_HTTP_CLIENT: LazyHTTPClient = Lazy(lambda: create_client("tests"))


def now() -> datetime:
    """Return the fixed time of a context: an hour after the rows were refreshed."""
    return REFRESHED_AT + timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class SchemaClient:
    """Executes documents on one schema and catalog."""

    catalog: Catalog
    refreshes: RefreshService
    clock: Callable[[], datetime] = field(default=now)
    authorized: bool = True
    schema: Schema = SCHEMA

    @property
    def context(self) -> GraphQLContext:
        """Return the context of a request."""
        return GraphQLContext(
            catalog=self.catalog,
            refresh_service=self.refreshes,
            clock=self.clock,
            stale_after=STALE_AFTER,
            public_url=PUBLIC_URL,
            denial=None if self.authorized else ADMIN_REQUIRED,
        )

    async def request(
        self, document: str, variables: Mapping[str, Any] | None = None, operation_name: str | None = None
    ) -> GraphQLResponse:
        """Return the response to a request."""
        response = await execute(
            self.schema,
            GraphQLRequest(query=document, variables=variables, operation_name=operation_name),
            context=self.context,
            allowed_operations=QUERIES_AND_MUTATIONS,
            request_id=REQUEST_ID,
        )
        return response._replace(body=orjson.loads(encode_json(response.body)))

    async def query(self, document: str, **variables: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the data of a response without errors."""
        response = await self.request(document, variables)
        assert "errors" not in response.body, response.body
        return response.body["data"]

    async def query_error(self, document: str, **variables: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
        """Return code and message of the only error of a response without data."""
        response = await self.request(document, variables)
        assert not any((response.body.get("data") or {}).values())
        [error] = response.body["errors"]
        return error["extensions"]["code"], error["message"]

    async def query_codes(self, arguments: str = "", **variables: Any) -> list[str]:  # noqa: ANN401 - JSON
        """Return the codes of the countries for these arguments, written in parentheses."""
        data = await self.query(f"{{ countries{arguments} {{ nodes {{ code }} }} }}", **variables)
        return [node["code"] for node in data["countries"]["nodes"]]


def offline_client(rows: Iterable[Country] = (), reference: Reference | None = None) -> SchemaClient:
    """Return a client of a catalog with these rows. Its database is never opened."""
    catalog = Catalog(_UNOPENED_DATABASE, reference or {})
    catalog.snapshot = make_snapshot(rows, reference)
    service = RefreshService(
        database=_UNOPENED_DATABASE,
        catalog=catalog,
        summary_images=SummaryImageCache(),
        http_client=_UNUSED_HTTP_CLIENT,
        sources=SourceConfig(countries=(), rates=(), statistics=(), api_timeout=1, refresh_timeout=1),
        limits=RefreshLimits(),
        holder="tests",
        clock=now,
        new_id="never".upper,
    )
    return SchemaClient(catalog=catalog, refreshes=service)


def client_for(instance: ServiceInstance, *, authorized: bool = True) -> SchemaClient:
    """Return a client of a service instance."""
    return SchemaClient(catalog=instance.catalog, refreshes=instance.service, authorized=authorized)

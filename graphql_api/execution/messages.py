"""Messages: the request that is executed, and its response before it is serialized."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql_api.execution.document import NO_OPERATION, OperationInfo
from graphql_api.execution.limits import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """A parsed request."""

    query: str
    """The document, not empty."""
    variables: Mapping[str, Any] | None
    operation_name: str | None
    budget: Budget | None = None
    """The budget of this request, or of this and others together. None: one that nothing else limits."""
    client: str = ""
    """The client by which long queries take turns."""


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """A response, before it is serialized."""

    body: Mapping[str, Any]
    """`data` and `errors`, as JSON values."""
    executed: bool
    """False if the request was rejected as a whole. The body then has no `data`."""
    cacheable: bool = False
    """True if every caller gets the same response until the data changes."""
    operation: OperationInfo = NO_OPERATION

    @property
    def retry_after(self) -> int | None:
        """Return the seconds after which the request may be served, if the rate limit rejected it."""
        retry_after: int | None = None if self.executed else self.body["errors"][0]["extensions"].get("retryAfter")
        return retry_after

    @property
    def error_codes(self) -> list[str]:
        """`extensions.code` of each error."""
        return [error["extensions"]["code"] for error in self.body.get("errors", ())]

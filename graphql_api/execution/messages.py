"""Messages: the request that is executed, and its response before it is serialized."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from graphql_api.execution.document import NO_OPERATION, OperationInfo
from graphql_api.execution.limits import Budget


class OperationFields(Protocol):
    """The fields of a request that say what it executes of its document."""

    @property
    def operation_name(self) -> str | None:
        """Return the name of the operation; None if there is only one."""

    @property
    def variables(self) -> Mapping[str, Any] | None:
        """Return the variables as the client sent them."""


class GraphQLRequest(NamedTuple):
    """A parsed request.

    It is a tuple because every new query makes one: a frozen dataclass takes three times as long.
    """

    query: str
    """The document, not empty."""
    variables: Mapping[str, Any] | None
    operation_name: str | None
    budget: Budget | None = None
    """The budget of this request, or of this and others together. None: one that nothing else limits."""
    client: str = ""
    """The client by which long queries take turns."""


class CompiledResponse(NamedTuple):
    """The response to a compiled query, which every caller gets until the data changes."""

    json: bytes
    operation: OperationInfo


class GraphQLResponse(NamedTuple):
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

"""Batches: several requests in one body, as Apollo's BatchHttpLink and graphql-request send them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql_api.execution.document import OperationInfo
from graphql_api.execution.messages import GraphQLResponse
from graphql_api.http.errors import HTTPRejection


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """The responses to the requests of a batch, in their order."""

    responses: Sequence[GraphQLResponse]

    @property
    def body(self) -> Sequence[Mapping[str, Any]]:
        """Return what to send, as JSON values."""
        return [response.body for response in self.responses]

    @property
    def executed(self) -> bool:
        """Return True: each request has a response of its own, which may be a rejection."""
        return True

    @property
    def retry_after(self) -> int | None:
        """Return the seconds after which all of it may be served, if the rate limit rejected every request."""
        times = [response.retry_after for response in self.responses]
        return None if None in times else max(filter(None, times))

    @property
    def cacheable(self) -> bool:
        """Return whether every response is cacheable."""
        return all(response.cacheable for response in self.responses)

    @property
    def operation(self) -> OperationInfo:
        """Return the batch as the log has it: a mutation if one of its operations is, with the names of all."""
        kinds = {response.operation.kind for response in self.responses}
        kind = next((kind for kind in ("mutation", "query") if kind in kinds), None)
        names = ", ".join(response.operation.name or "-" for response in self.responses)
        return OperationInfo(kind, f"batch of {len(self.responses)}: {names}")

    @property
    def error_codes(self) -> list[str]:
        """`extensions.code` of each error of each response."""
        return [code for response in self.responses for code in response.error_codes]


async def execute_batch(
    payloads: Sequence[object], batch_limit: int, execute: Callable[[object], Awaitable[GraphQLResponse]]
) -> BatchResponse:
    """Execute requests one after another. Other connections get a turn between them.

    Raises:
        HTTPRejection: batches are turned off, or there are too many requests, or none. Nothing was executed.
    """
    if batch_limit == 1:
        raise HTTPRejection(400, "Send one request, as an object: this server accepts no batches (BATCH_LIMIT).")
    if not 0 < len(payloads) <= batch_limit:
        raise HTTPRejection(400, f"Send 1 to {batch_limit} requests in one batch, not {len(payloads)}.")
    responses = []
    for payload in payloads:
        responses.append(await execute(payload))
        await asyncio.sleep(0)
    return BatchResponse(responses)

"""What is counted and logged of a request once it is answered."""

import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from http.client import INTERNAL_SERVER_ERROR
from typing import Any

from starlette.types import Scope

from graphql_api.errors import (
    INTERNAL,
    DatabaseUnavailable,
    SourceInvalid,
    SourceUnavailable,
)
from graphql_api.logs import fields
from graphql_api.metrics.families import NO_KIND
from graphql_api.metrics.meter import Meter
from graphql_api.schema.plans import NO_OPERATION, OperationInfo

logger = logging.getLogger(__name__)

_SLOW = 1.0
"""Seconds from which a request is slow; not a mutation, which waits for sources."""
_LONGEST = 100
"""Characters of a name or a path that are logged."""
_OURS = frozenset({INTERNAL, DatabaseUnavailable.code, SourceInvalid.code, SourceUnavailable.code})
"""Codes of errors that the client is not to blame for."""

State = MutableMapping[str, Any]
"""What the parts that serve a request tell one another of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Counts every answer, and logs the failed and the slow ones, or all."""

    meter: Meter
    log_all: bool

    def operation(self, state: State, operation: OperationInfo, codes: list[str]) -> None:
        """Note what a request asks, and the codes of the errors that it is answered."""
        state["operation"] = operation
        for code in codes:
            self.meter.failed(code)
            if code in _OURS:
                state["failed"] = True

    def answered(self, scope: Scope, *, status: int, size: int, seconds: float) -> None:
        """Count an answer, whose body has `size` bytes, and log it if need be."""
        state: State = scope["state"]
        operation: OperationInfo = state.get("operation", NO_OPERATION)
        kind = operation.kind or NO_KIND
        self.meter.answered(kind, status, seconds)
        failed = status == INTERNAL_SERVER_ERROR or "failed" in state
        slow = seconds > _SLOW and kind != "mutation"
        if failed or slow or self.log_all:
            level = logging.ERROR if failed else logging.WARNING if slow else logging.INFO
            _log(level, scope, operation, status=status, size=size, seconds=seconds)


def _log(  # noqa: PLR0913 - all that is told of an answer
    level: int, scope: Scope, operation: OperationInfo, *, status: int, size: int, seconds: float
) -> None:
    kind = operation.kind or NO_KIND
    name = None if operation.name is None else _clip(operation.name)
    client = scope["client"][0] if scope.get("client") else None
    # The query of the URL is left out: it may hold variables.
    method, path = scope["method"], _clip(scope["path"])
    took = round(seconds * 1000, 2)
    request_id = scope["state"]["request_id"]
    logger.log(
        level,
        "Request %s from %s: %s %s, %s, status %d, %d bytes, %.2f ms",
        request_id,
        client,
        method,
        path,
        kind if name is None else f"{kind} {name}",
        status,
        size,
        took,
        extra=fields(
            request_id=request_id,
            client=client,
            method=method,
            path=path,
            kind=kind,
            operation=name,
            status=status,
            bytes=size,
            duration_ms=took,
        ),
    )


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

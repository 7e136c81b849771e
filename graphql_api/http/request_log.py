"""Request log: metrics of every response, a log line for failed and slow ones, or for all."""

import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from http.client import INTERNAL_SERVER_ERROR, UNAUTHORIZED
from typing import Any

from starlette.types import Scope

from graphql_api.errors import INTERNAL_ERROR_CODE, DatabaseUnavailable
from graphql_api.execution.document import NO_OPERATION, OperationInfo
from graphql_api.logging import extra_fields
from graphql_api.metrics.definitions import NO_KIND
from graphql_api.metrics.recorder import MetricsRecorder

logger = logging.getLogger(__name__)

_SLOW_REQUEST_SECONDS = 1.0
"""Slower responses are logged, except those to mutations, which wait for providers, and to wrong tokens."""
_MAX_LOGGED_LENGTH = 100
"""Characters of an operation's name, a path, or an address that a trusted proxy forwards, in the log."""
_SERVER_ERROR_CODES = frozenset({INTERNAL_ERROR_CODE, DatabaseUnavailable.code})
"""Codes of errors that are not the client's fault. Those of sources are left out: a failed refresh is logged itself."""

_MESSAGE = (
    "Request %(request_id)s from %(client)s: %(method)s %(path)s, %(label)s, "
    "status %(status)d, %(bytes)d bytes, %(duration_ms).2f ms"
)

RequestState = MutableMapping[str, Any]
"""The `state` of an ASGI scope: `request_id`, `operation`, `codes`, `failed`, and `cost` of what was executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLog:
    """Records responses."""

    metrics: MetricsRecorder
    access_log: bool
    """True to log every response."""

    def record_operation(self, state: RequestState, operation: OperationInfo, codes: list[str]) -> None:
        """Record the operation of a request and the codes of its errors."""
        state["operation"] = operation
        state.setdefault("codes", []).extend(codes)
        for code in codes:
            self.metrics.record_error(code)
            if code in _SERVER_ERROR_CODES:
                state["failed"] = True

    def record_response(self, scope: Scope, *, status: int, size: int, seconds: float) -> None:
        """Record a response whose body has `size` bytes."""
        state: RequestState = scope["state"]
        operation: OperationInfo = state.get("operation", NO_OPERATION)
        kind = operation.kind or NO_KIND
        self.metrics.record_request(kind, status, seconds)
        has_failed = status == INTERNAL_SERVER_ERROR or "failed" in state
        is_slow = seconds > _SLOW_REQUEST_SECONDS and kind != "mutation" and status != UNAUTHORIZED
        if has_failed or is_slow or self.access_log:
            level = logging.ERROR if has_failed else logging.WARNING if is_slow else logging.INFO
            fields = {
                "request_id": state["request_id"],
                "client": truncate(scope["client"][0]) if scope.get("client") else None,
                "method": scope["method"],
                # Without the query string, which may contain variables.
                "path": truncate(scope["path"]),
                "kind": kind,
                "operation": None if operation.name is None else truncate(operation.name),
                "status": status,
                "bytes": size,
                "duration_ms": round(seconds * 1000, 2),
            }
            label = kind if operation.name is None else f"{kind} {fields['operation']}"
            if codes := list(dict.fromkeys(state.get("codes", ()))):
                fields["codes"] = codes
                label = f"{label} with {', '.join(codes)}"
            logger.log(level, _MESSAGE, {**fields, "label": label}, extra=extra_fields(**fields))


def truncate(text: str) -> str:
    """Return the start of a client's text for a log line."""
    return text if len(text) <= _MAX_LOGGED_LENGTH else f"{text[:_MAX_LOGGED_LENGTH]}…"

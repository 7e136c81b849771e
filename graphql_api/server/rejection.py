"""Responses of the server itself, in place of the application."""

import asyncio
from http import HTTPStatus

from graphql_api.errors import INTERNAL_ERROR_CODE, InvalidInput
from graphql_api.http.errors import STOPPING_MESSAGE, STOPPING_RETRY_AFTER, log_rejection
from graphql_api.http.raw_response import Header, encode_error_response


def write_rejection(transport: asyncio.WriteTransport, request_id: str, status: int, reason: str) -> None:
    """Log `reason`, and send it to the client; with status 503, ask the client to try again."""
    message, code, headers = reason, InvalidInput.code, list[Header]()
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        message, code = STOPPING_MESSAGE, INTERNAL_ERROR_CODE
        headers = [(b"retry-after", STOPPING_RETRY_AFTER.encode())]
    log_rejection(request_id, status, reason)
    transport.write(encode_error_response(status, message, code, request_id=request_id, headers=headers))

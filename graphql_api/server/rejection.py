"""Responses of the server itself, in place of the application."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from graphql_api.errors import INTERNAL_ERROR_CODE, InvalidInput
from graphql_api.http.cors import CORSPolicy
from graphql_api.http.errors import HTTPRejection, log_rejection
from graphql_api.http.forwarded import TrustedProxies, normalize_address
from graphql_api.http.middleware.request_id import find_request_id
from graphql_api.http.raw_response import Header, encode_error_response

Peer = tuple[str, int] | None
"""Address and port of the other end of a connection."""


def normalize_peer(peer: Peer) -> Peer:
    """Return the peer with the address that the headers of proxies and the settings have for it."""
    return peer and (normalize_address(peer[0]) or peer[0], peer[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejector:
    """Rejects requests and WebSocket handshakes."""

    new_id: Callable[[], str]
    """Makes the ids of requests that the application has not given one."""
    trusted_proxies: TrustedProxies
    cors_policy: CORSPolicy

    def reject(
        self,
        transport: asyncio.WriteTransport,
        rejection: HTTPRejection,
        *,
        request_id: str | None,
        peer: Peer,
        headers: Sequence[Header],
    ) -> None:
        """Log a rejection and send it to the client.

        `headers` are those of the request that have arrived.
        """
        status, message = rejection.status, str(rejection)
        request_id = request_id or find_request_id(headers) or self.new_id()
        client = self.trusted_proxies.resolve(peer and peer[0], headers).client
        log_rejection(request_id, client, status, message)
        is_client_error = status < HTTPStatus.INTERNAL_SERVER_ERROR
        response = encode_error_response(
            status,
            message,
            InvalidInput.code if is_client_error else INTERNAL_ERROR_CODE,
            request_id=request_id,
            headers=[
                (b"date", formatdate(usegmt=True).encode()),
                *self.cors_policy.build_headers(headers),
                *((name.lower().encode(), value.encode()) for name, value in rejection.headers.items()),
            ],
        )
        transport.write(response)

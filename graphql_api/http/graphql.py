"""GraphQL over HTTP: from a request to what it asks, and from the answer to a response.

Follows https://graphql.github.io/graphql-over-http/draft/: POST with a JSON body for everything,
GET for queries.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from strawberry.schema.exceptions import InvalidOperationTypeError

from graphql_api.errors import InvalidInput, PersistedQueryNotFound, QueryTooComplex
from graphql_api.http.answers import Answer, Answers, Asked
from graphql_api.http.bodies import read_body
from graphql_api.http.negotiation import GRAPHQL_RESPONSE, HTML, JSON, content_type, preferred
from graphql_api.http.persisted import PersistedQueries, read_hash
from graphql_api.http.playground import Playground
from graphql_api.http.recording import Recorder
from graphql_api.http.refusing import Refused, log_refusal
from graphql_api.http.request_id import request_id_of
from graphql_api.http.server_timing import server_timing
from graphql_api.schema.building import Schema
from graphql_api.schema.context import Context
from graphql_api.schema.execution import (
    EVERYTHING,
    READING,
    GraphQLRequest,
    GraphQLResponse,
    execute,
    execute_at_once,
    refuse,
)
from graphql_api.schema.plans import OperationInfo

_SUBSCRIBE_OVER_WEBSOCKET = (
    "Subscriptions go over WebSocket: connect to this address with the subprotocol "
    "graphql-transport-ws."
)


class Given(NamedTuple):
    """What a client has sent."""

    request: GraphQLRequest
    to_persist: str | None
    """The hash by which its document is to be kept, if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLEndpoint:
    """Answers /graphql."""

    schema: Schema
    create_context: Callable[[HTTPConnection, str], Context]
    """Takes the credentials of an Authorization header besides, empty if there are none."""
    context_of_data: Context
    """What suffices for whoever asks for the data."""
    answers: Answers
    persisted: PersistedQueries
    playground: Playground | None
    """None where it is switched off."""
    body_limit: int
    """Bytes that a body may have."""
    recorder: Recorder

    async def handle(self, request: Request, asked: Asked | None) -> Response | Answer:
        """Answer one request; whatever is wrong with it is told in GraphQL's shape.

        An answer of the data is kept as the one to what is `asked`, if that is known.
        """
        if self.playground is not None and _wants_page(request):
            return self.playground.respond()
        media_type = preferred(request, (JSON, GRAPHQL_RESPONSE))
        try:
            given = await self._read(request, asked, media_type)
            return await self._answer(request, given, asked, media_type or JSON)
        except Refused as refused:
            log_refusal(request_id_of(request), refused.status, str(refused))
            answer = refuse(InvalidInput(str(refused)))
            self._record(request, answer, None)
            return _respond(media_type or JSON, answer, refused.status, refused.headers)
        except PersistedQueryNotFound as error:
            answer = refuse(error)
            self._record(request, answer, None)
            return _respond(media_type or JSON, answer, _status(answer, media_type))

    def answer_at_once(self, asked: Asked) -> Answer | None:
        """Answer a query of the data that is short work, and keep the answer.

        None leaves it to `handle`, and so does whatever is wrong with it.
        """
        if len(asked.text) > self.body_limit:
            return None
        is_get = asked.method == "GET"
        try:
            fields = _read_url(QueryParams(asked.text)) if is_get else _read_json(asked.text)
            given = self.read_fields(fields)
        except (Refused, PersistedQueryNotFound):
            return None
        if given.to_persist is not None:
            return None
        snapshot = self.context_of_data.catalog.snapshot
        answer = execute_at_once(self.schema, given.request, context=self.context_of_data)
        if answer is None:
            return None
        self.recorder.meter.looked_up("miss")
        return self.answers.add(asked, encode(answer.body), snapshot, answer.operation)

    async def _read(self, request: Request, asked: Asked | None, media_type: str | None) -> Given:
        if request.method not in ("GET", "POST"):
            raise Refused(405, "Send GET or POST.", {"Allow": "GET, POST"})
        if media_type is None:
            raise Refused(406, f"Accept {JSON}.")
        if request.method == "GET":
            return self.read_fields(_read_url(request.query_params))
        if content_type(request) != JSON:
            raise Refused(415, f"Send {JSON}.")
        body = asked.text if asked else await read_body(request, self.body_limit)
        return self.read_fields(_read_json(body))

    def read_fields(self, fields: object) -> Given:
        """Read what a client asks from its JSON.

        Raises:
            Refused: a field is missing or of the wrong kind.
            PersistedQueryNotFound: it names a document that is not kept.
        """
        if not isinstance(fields, Mapping):
            raise Refused(400, 'The body must be an object: {"query": …, "variables": {…}}.')
        query, variables = fields.get("query"), fields.get("variables")
        operation_name, extensions = fields.get("operationName"), fields.get("extensions")
        if extensions is not None and not isinstance(extensions, Mapping):
            raise Refused(400, "extensions must be an object or null.")
        digest = read_hash(extensions, query)
        to_persist = digest if query is not None else None
        if query is None and digest is not None:
            query = self.persisted.find(digest)
        if not isinstance(query, str) or not query.strip():
            raise Refused(400, "query must be the text of a GraphQL document.")
        if variables is not None and not isinstance(variables, Mapping):
            raise Refused(400, "variables must be an object or null.")
        if operation_name is not None and not isinstance(operation_name, str):
            raise Refused(400, "operationName must be a text or null.")
        return Given(
            GraphQLRequest(query=query, variables=variables, operation_name=operation_name or None),
            to_persist,
        )

    def take_note(self, given: Given, answer: GraphQLResponse, request_id: str) -> None:
        """Keep a document that is to be persisted, and log that one asks for too much."""
        if not answer.executed:
            _log_complexity(answer, request_id)
        elif given.to_persist is not None:
            self.persisted.add(given.to_persist, given.request.query)

    async def _answer(
        self, request: Request, given: Given, asked: Asked | None, media_type: str
    ) -> Response | Answer:
        context = self.create_context(request, request.headers.get("Authorization", ""))
        snapshot = context.catalog.snapshot
        try:
            answer = await execute(
                self.schema,
                given.request,
                context=context,
                allowed=READING if request.method == "GET" else EVERYTHING,
                request_id=request_id_of(request),
            )
        except InvalidOperationTypeError:
            if request.method == "GET":
                told = "GET is for queries; send everything else by POST."
                raise Refused(405, told, {"Allow": "POST"}) from None
            answer = refuse(InvalidInput(_SUBSCRIBE_OVER_WEBSOCKET))
        self._record(request, answer, given.request.operation_name)
        self.take_note(given, answer, request_id_of(request))
        if given.to_persist is not None:
            # An answer that is sent again would not persist the document again.
            asked = None
        if answer.of_data and asked is not None and context.catalog.snapshot is snapshot:
            self.recorder.meter.looked_up("miss")
            return self.answers.add(asked, encode(answer.body), snapshot, answer.operation)
        # Of several refreshes in one request the last one is told.
        headers = server_timing(context.reports[-1].timings) if context.reports else None
        return _respond(media_type, answer, _status(answer, media_type), headers)

    def _record(self, request: Request, answer: GraphQLResponse, given_name: str | None) -> None:
        """Note what is asked; a name that no operation has is at least told."""
        operation = answer.operation
        if operation.kind is None:
            operation = OperationInfo(None, given_name)
        self.recorder.operation(request.scope["state"], operation, answer.codes)


def _log_complexity(answer: GraphQLResponse, request_id: str) -> None:
    """Log that a query asks for too much; whatever else is wrong with it is the client's alone."""
    for error in answer.body["errors"]:
        if error["extensions"]["code"] == QueryTooComplex.code:
            # The message has names and numbers of ours, and nothing that the client wrote.
            log_refusal(request_id, None, error["message"])


def _wants_page(request: Request) -> bool:
    return (
        request.method == "GET"
        and "query" not in request.query_params
        and preferred(request, (JSON, GRAPHQL_RESPONSE, HTML)) == HTML
    )


def _read_url(url: QueryParams) -> Mapping[str, Any]:
    given = url.multi_items()
    fields: dict[str, Any] = dict(given)
    if len(fields) < len(given):
        raise Refused(400, "A parameter is given twice.")
    for name in ("variables", "extensions"):
        if name in fields:
            fields[name] = parse_json(fields[name], name)
    return fields


def _read_json(body: bytes) -> object:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "The body is not UTF-8.") from None
    return parse_json(text, "The body")


def parse_json(text: str, what: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read JSON, strictly.

    Raises:
        Refused: it is none; the message says of `what`.
    """
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise Refused(400, f"{what} is not JSON.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, each of whose keys means one thing, here and to whoever reads along."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Refused(400, "An object has the same key twice.")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object)


def _status(answer: GraphQLResponse, media_type: str | None) -> int:
    return 200 if answer.executed or media_type != GRAPHQL_RESPONSE else 400


def _respond(
    media_type: str,
    answer: GraphQLResponse,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(
        encode(answer.body),
        status,
        {"Vary": "Accept", "Cache-Control": "no-store", **(headers or {})},
        media_type=f"{media_type}; charset=utf-8",
    )


def encode(body: Mapping[str, Any]) -> bytes:
    """Write an answer as JSON."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # A lone surrogate, echoed in an error's message, has no UTF-8.
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="replace")

"""GraphQL over HTTP: from a request to what it asks, and from the answer to a response.

Follows https://graphql.github.io/graphql-over-http/draft/: POST with a JSON body for everything,
GET for queries.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html
from strawberry.schema.exceptions import InvalidOperationTypeError

from graphql_api.errors import InvalidInput
from graphql_api.http.negotiation import GRAPHQL_RESPONSE, HTML, JSON, content_type, preferred
from graphql_api.http.request_id import request_id_of
from graphql_api.schema.building import Schema
from graphql_api.schema.context import Context
from graphql_api.schema.execution import (
    EVERYTHING,
    READING,
    GraphQLRequest,
    GraphQLResponse,
    execute,
    refuse,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLEndpoint:
    """Answers /graphql."""

    schema: Schema
    create_context: Callable[[Request], Context]
    playground: bool

    async def handle(self, request: Request) -> Response:
        """Answer one request; whatever is wrong with it is told in GraphQL's shape."""
        if request.method not in ("GET", "POST"):
            return _respond(
                JSON, refuse(InvalidInput("Send GET or POST.")), 405, {"Allow": "GET, POST"}
            )
        if self._wants_playground(request):
            return HTMLResponse(get_graphql_ide_html("graphiql"), headers={"Vary": "Accept"})
        media_type = preferred(request, (JSON, GRAPHQL_RESPONSE))
        if media_type is None:
            return _respond(JSON, refuse(InvalidInput(f"Accept {JSON}.")), 406)
        if request.method == "POST" and content_type(request) != JSON:
            return _respond(media_type, refuse(InvalidInput(f"Send {JSON}.")), 415)
        try:
            asked = await (_read_get(request) if request.method == "GET" else _read_post(request))
        except InvalidInput as error:
            return _respond(media_type, refuse(error), 400)
        return await self._answer(request, asked, media_type)

    def _wants_playground(self, request: Request) -> bool:
        return (
            self.playground
            and request.method == "GET"
            and "query" not in request.query_params
            and preferred(request, (JSON, GRAPHQL_RESPONSE, HTML)) == HTML
        )

    async def _answer(self, request: Request, asked: GraphQLRequest, media_type: str) -> Response:
        try:
            answer = await execute(
                self.schema,
                asked,
                context=self.create_context(request),
                allowed=READING if request.method == "GET" else EVERYTHING,
                request_id=request_id_of(request),
            )
        except InvalidOperationTypeError:
            refusal = refuse(InvalidInput("GET is for queries; send everything else by POST."))
            return _respond(media_type, refusal, 405, {"Allow": "POST"})
        refused = not answer.executed and media_type == GRAPHQL_RESPONSE
        return _respond(media_type, answer, 400 if refused else 200)


async def _read_get(request: Request) -> GraphQLRequest:
    fields: dict[str, Any] = dict(request.query_params)
    if "variables" in fields:
        fields["variables"] = _parse_json(fields["variables"], "variables")
    return _read_fields(fields)


async def _read_post(request: Request) -> GraphQLRequest:
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError:
        raise InvalidInput("The body is not UTF-8.") from None
    return _read_fields(_parse_json(text, "The body"))


def _parse_json(text: str, what: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidInput(f"{what} is not JSON.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_fields(fields: object) -> GraphQLRequest:
    if not isinstance(fields, Mapping):
        raise InvalidInput('The body must be an object: {"query": …, "variables": {…}}.')
    query, variables = fields.get("query"), fields.get("variables")
    operation_name = fields.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise InvalidInput("query must be the text of a GraphQL document.")
    if variables is not None and not isinstance(variables, Mapping):
        raise InvalidInput("variables must be an object or null.")
    if operation_name is not None and not isinstance(operation_name, str):
        raise InvalidInput("operationName must be a text or null.")
    return GraphQLRequest(query=query, variables=variables, operation_name=operation_name or None)


def _respond(
    media_type: str,
    answer: GraphQLResponse,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = json.dumps(answer.body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate, echoed in an error's message, has no UTF-8.
    encoded = body.encode(errors="replace")
    return Response(
        encoded,
        status,
        {"Vary": "Accept", **(headers or {})},
        media_type=f"{media_type}; charset=utf-8",
    )

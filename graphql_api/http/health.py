"""What an orchestrator asks: does the process live, and has it data to serve."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphql_api.catalog import Catalog


@dataclass(frozen=True, slots=True)
class HealthEndpoints:
    """Answers from memory, so a slow database delays nobody."""

    catalog: Catalog

    async def live(self, _request: Request) -> Response:
        """Answer that the process lives."""
        return _respond({"status": "ok"}, 200)

    async def ready(self, _request: Request) -> Response:
        """Answer 200 when there is data to serve, 503 when there is none."""
        snapshot = self.catalog.snapshot
        content = {
            "status": "ready" if snapshot.rows else "empty",
            "countries": len(snapshot.rows),
            "version": str(snapshot.version),
            "database": "ok" if self.catalog.database_answers else "unreachable",
        }
        return _respond(content, 200 if snapshot.rows else 503)


def _respond(content: object, status: int) -> Response:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})

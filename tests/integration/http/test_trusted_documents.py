"""TRUSTED_DOCUMENTS of a real server: over WebSocket, read again on SIGHUP, and with the server's own documents."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphql_api.http.site.built_in_documents import list_built_in_documents
from tests.support.processes import BUNDLED_SOURCES, Process, run_command, running_server
from tests.support.raw_http import open_connection
from tests.support.ws_client import websocket_client

pytestmark = pytest.mark.slow
PROGRESS = "subscription { refreshProgress { phase } }"
DOCUMENTS = {"count": "{ countries { totalCount } }", "progress": PROGRESS}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    """Run a server of two workers that executes trusted documents only."""
    (tmp_path / "documents.json").write_text(json.dumps(DOCUMENTS), "utf-8")
    settings = {"TRUSTED_DOCUMENTS": "documents.json", "TRUSTED_DOCUMENTS_ONLY": "true", "WORKERS": "2"}
    with running_server(tmp_path, **BUNDLED_SOURCES, **settings) as process:
        yield process
        assert "Traceback" not in process.stderr, process.stderr


@pytest.mark.asyncio
async def test_websocket(server: Process) -> None:
    """Queries and subscriptions by id are executed over WebSocket, others are refused, and the connection goes on."""
    async with websocket_client(server) as client:
        for document, payload in ((None, {"documentId": "count"}), (DOCUMENTS["count"], {})):
            await client.subscribe(document, **payload)
            assert await client.receive_next() == {"data": {"countries": {"totalCount": 250}}}
            assert (await client.receive())["type"] == "complete"
        for document, payload in ((None, {"documentId": "x"}), ("{ __typename }", {}), (PROGRESS + " ", {})):
            await client.subscribe(document, **payload)
            message = await client.receive()
            assert message["type"] == "error"
            assert [error["extensions"]["code"] for error in message["payload"]] == ["DOCUMENT_NOT_TRUSTED"]
        await client.subscribe(None, doc_id="progress")
        await client.send({"id": "1", "type": "complete"})
        await client.execute(DOCUMENTS["count"], "2")


def test_own_documents(server: Process, tmp_path: Path) -> None:
    """The command `status`, the pages and the documents of the pages' scripts work with any manifest."""
    assert "250 countries" in run_command(tmp_path, "status", server.url).stdout
    assert [server.get(path).status_code for path in ("/", "/healthz", "/readyz", "/metrics")] == [200] * 4
    with open_connection(server) as connection:
        for document in list_built_in_documents():
            response = connection.post(json.dumps({"query": document}).encode())
            assert "DOCUMENT_NOT_TRUSTED" not in response.body.decode(), document
        assert connection.post(b'{"query": "{ __typename }"}').error_codes == ["DOCUMENT_NOT_TRUSTED"]


def test_hangup(server: Process, tmp_path: Path) -> None:
    """SIGHUP has every worker read the manifest again; one that is invalid changes nothing and is in the log."""

    def count(body: dict[str, object], text: str) -> int:
        responses = []
        for _ in range(20):
            with open_connection(server) as connection:
                responses.append(connection.post(json.dumps(body).encode()).body.decode())
        return sum(text in response for response in responses)

    assert count({"documentId": "count"}, "totalCount") == 20
    (tmp_path / "documents.json").write_text('{"count": "query C { nothing }"}', "utf-8")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log(
        r"C \(count\): Cannot query field 'nothing' on type 'Query'\. The documents stay as they were\."
    )
    assert count({"documentId": "count"}, "totalCount") == 20
    (tmp_path / "documents.json").write_text('{"count": "{ __typename }"}', "utf-8")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log(r"(?s)(Read 1 trusted documents from documents.json again.*){2}")
    assert count({"documentId": "count"}, '"__typename":"Query"') == 20
    assert count({"query": DOCUMENTS["count"]}, "DOCUMENT_NOT_TRUSTED") == 20

"""Manifests as three tools write them, and the clients that request their documents by id."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.npm.install import run_program
from tests.support.npm.recording_proxy import recording_proxy
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, running_server

pytestmark = pytest.mark.slow
DOCUMENT = """query Trusted($code: String!) { country(code: $code) { name ...Area } }
fragment Area on Country { areaKm2 }
"""
CODEGEN_CONFIG = """export default {
  schema: 'schema.graphql',
  documents: ['trusted.graphql'],
  generates: { './gql/': {
    preset: 'client', presetConfig: { persistedDocuments: true }, config: { documentMode: 'string' },
  } },
};
"""
CODEGEN_CLIENT = """import { TrustedDocument } from './gql/graphql';
const documentId = TrustedDocument.__meta__?.hash;
const headers = { 'Content-Type': 'application/json' };
const body = JSON.stringify({ documentId, variables: { code: 'NZ' } });
const response = await fetch(process.argv[2], { method: 'POST', headers, body });
const { data } = await response.json();
console.log(data.country.name, data.country.areaKm2);
"""
RELAY_CONFIG = {
    "src": ".",
    "excludes": ["**/node_modules/**", "gql/**"],
    "schema": "schema.graphql",
    "language": "typescript",
    "artifactDirectory": "__generated__",
    "eagerEsModules": True,
    "customScalarTypes": {"DateTime": "string"},
    "persistConfig": {"file": "relay-documents.json", "algorithm": "MD5"},
}
RELAY_CLIENT = """import { Environment, fetchQuery, graphql, Network, RecordSource, Store } from 'relay-runtime';
const environment = new Environment({
  network: Network.create(async (request, variables) => {
    const response = await fetch(process.argv[2], {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ doc_id: request.id, variables }),
    });
    return response.json();
  }),
  store: new Store(new RecordSource()),
});
const query = graphql`query relayTrustedQuery($code: String!) { country(code: $code) { name areaKm2 } }`;
const { country } = await fetchQuery(environment, query, { code: 'NZ' }).toPromise();
console.log(country.name, country.areaKm2);
"""


def write_files(home: Path, files: Mapping[str, str]) -> None:
    """Write files of a front end, and the schema."""
    shutil.copy(ROOT / "schema.graphql", home)
    for name, text in {"trusted.graphql": DOCUMENT, **files}.items():
        (home / name).write_text(text, "utf-8")


def run_client(home: Path, manifest: str, program: str) -> tuple[str, list[str]]:
    """Run a client against a server that trusts a manifest only; return what it prints, and its exchanges."""
    settings = {"TRUSTED_DOCUMENTS": manifest, "TRUSTED_DOCUMENTS_ONLY": "true"}
    with running_server(home, **BUNDLED_SOURCES, **settings) as server, recording_proxy(server) as recording:
        return run_program(home, "node", program, f"{recording.url}/graphql"), recording.take_exchanges()


def test_apollo(home: Path) -> None:
    """Apollo Client requests by the ids of Apollo's manifest, by GET, and learns that others are refused."""
    config = {"documents": ["trusted.graphql"]}
    write_files(home, {"persisted-query-manifest.config.json": json.dumps(config)})
    run_program(home, "generate-persisted-query-manifest")
    printed, exchanges = run_client(home, "persisted-query-manifest.json", "trusted.mjs")
    assert printed == "New Zealand 268680\nDOCUMENT_NOT_TRUSTED\n"
    assert exchanges == ["GET hash: 200", "GET hash: 400 DOCUMENT_NOT_TRUSTED"]


def test_relay(home: Path) -> None:
    """Relay requests by the ids that its compiler has written."""
    (home / "refetchable.ts").unlink()
    write_files(home, {"relay.ts": RELAY_CLIENT, "relay.config.json": json.dumps(RELAY_CONFIG)})
    (home / "__generated__").mkdir()
    (home / "relay-documents.json").write_text("{}", "utf-8")
    run_program(home, "relay-compiler")
    run_program(home, "node", "bundle.mjs", "relay.ts")
    assert run_client(home, "relay-documents.json", "relay.mjs")[0] == "New Zealand 268680\n"


def test_codegen(home: Path) -> None:
    """A client with the documents of GraphQL Code Generator requests by the ids in persisted-documents.json."""
    write_files(home, {"codegen.mjs": CODEGEN_CONFIG, "client.ts": CODEGEN_CLIENT})
    run_program(home, "graphql-codegen", "--config", "codegen.mjs")
    run_program(home, "node", "bundle.mjs", "client.ts")
    assert run_client(home, "gql/persisted-documents.json", "client.mjs")[0] == "New Zealand 268680\n"

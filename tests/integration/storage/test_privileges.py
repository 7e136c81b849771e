"""The privileges that the server needs to serve, and more to migrate: docs/operations.md names them."""

import re
from pathlib import Path

import pytest

from tests.support.db_servers.process import DatabaseServer
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, run_command, running_server

pytestmark = pytest.mark.slow

REFRESHED_PATTERN = r"0 new, 0 changed, 250 unchanged\)"
REFRESH = "mutation { refreshCountries { totalCountries statements } }"
DELETE = 'mutation { deleteCountry(code: "FR") { code } }'
USER, PASSWORD = "server", "letters8digits"


def documented_grants(section: str) -> str:
    """Return the SQL of a block of docs/operations.md."""
    guide = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (sql,) = re.findall(rf"```sql\n-- {section}\n(.*?)```", guide, re.DOTALL)
    return str(sql)


@pytest.fixture(params=["mariadb", "mysql", "postgresql"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Return each kind of database server."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server


def test_least_privileges(server: DatabaseServer, tmp_path: Path) -> None:
    """On tables that their owner migrated, reading and writing rows is all that serving needs."""
    name = server.create_database()
    owner_url = server.url(name)
    user_url = re.sub(r"//.*@", f"//{USER}_{name}:{PASSWORD}@", owner_url)
    assert run_command(tmp_path, "migrate", DATABASE_URL=owner_url).exit_code == 0
    section = "PostgreSQL" if server.scheme == "postgresql" else "MySQL and MariaDB"
    sql = documented_grants(section).replace("countries_server", f"{USER}_{name}").replace("countries.*", f"{name}.*")
    server.execute(sql.replace("a password", PASSWORD), name)
    with running_server(tmp_path, **BUNDLED_SOURCES, DATABASE_URL=user_url) as process:
        process.wait_for_log(REFRESHED_PATTERN)
        assert process.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250, "statements": 1}}
        assert process.query(DELETE)["data"] == {"deleteCountry": {"code": "FR"}}
        assert process.query("{ refreshes { countries: totalCountries } }")["data"]["refreshes"] != []
        log = process.stderr
    assert re.findall("WARNING|ERROR|Traceback", log) == []


def test_missing_privilege_is_named(server: DatabaseServer, tmp_path: Path) -> None:
    """Without the privileges to migrate, the server reports it in one line, and creates nothing."""
    name = server.create_database()
    user_url = re.sub(r"//.*@", f"//{USER}_{name}:{PASSWORD}@", server.url(name))
    if server.scheme == "postgresql":
        server.execute(f"CREATE ROLE {USER}_{name} LOGIN PASSWORD '{PASSWORD}'", name)
    else:
        server.execute(
            f"CREATE USER {USER}_{name} IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON {name}.* TO {USER}_{name}", name
        )
    result = run_command(tmp_path, "migrate", DATABASE_URL=user_url)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert re.search("denied", result.stderr)

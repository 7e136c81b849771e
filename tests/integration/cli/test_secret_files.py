"""Secrets in files: read at the start, and again on SIGHUP, by every worker."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.process_state import child_pids, paused
from tests.support.processes import BUNDLED_SOURCES, Process, run_forked, running_server
from tests.support.wait import wait_until

FIRST, SECOND, THIRD = (f"{name}-token-of-letters" for name in ("first", "second", "third"))
PRODUCTION = {
    **BUNDLED_SOURCES,
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://countries.example",
    "LOG_FORMAT": "console",
    "DATABASE_URL_FILE": "database",
    "ADMIN_TOKEN_FILE": "token",
}
REREAD = r"Read DATABASE_URL_FILE, ADMIN_TOKEN_FILE again; (\d) administrator's tokens are accepted\."


def write_secrets(folder: Path) -> None:
    """Write the files that the settings name."""
    (folder / "database").write_text(f"sqlite:///{folder / 'from-file.db'}\n")
    (folder / "token").write_text(f"{FIRST}, {SECOND}\n")


def accepted_tokens(server: Process) -> list[str]:
    """Return the tokens with which the server executes a mutation and shows its metrics."""
    accepted = []
    for token in (FIRST, SECOND, THIRD):
        headers = {"Authorization": f"Bearer {token}"}
        [error] = server.query('mutation { deleteCountry(code: "ZZ") { code } }', **headers)["errors"]
        is_accepted = error["extensions"]["code"] == "COUNTRY_NOT_FOUND"
        assert server.get("/metrics", **headers).status_code == (200 if is_accepted else 401)
        accepted += [token] * is_accepted
    return accepted


@pytest.mark.slow
def test_rotation(tmp_path: Path) -> None:
    """SIGHUP replaces the tokens, and a file that cannot be used changes nothing."""
    write_secrets(tmp_path)
    with running_server(tmp_path, **PRODUCTION) as server:
        assert accepted_tokens(server) == [FIRST, SECOND]
        (tmp_path / "token").write_text(f"{SECOND},{THIRD}")
        assert accepted_tokens(server) == [FIRST, SECOND]
        server.send_signal(signal.SIGHUP)
        server.wait_for_log(REREAD)
        assert accepted_tokens(server) == [SECOND, THIRD]
        for content, problem in (("", "it is empty"), ("a b", "should be printable"), ("short", "is too short")):
            (tmp_path / "token").write_text(content)
            server.send_signal(signal.SIGHUP)
            server.wait_for_log(f"ERROR .*{problem}.* secrets stay as they were")
        assert accepted_tokens(server) == [SECOND, THIRD]
        (tmp_path / "token").write_text(THIRD)
        (tmp_path / "database").write_text("sqlite:///other.db")
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("DATABASE_URL_FILE has changed; restart the server to use it")
        assert accepted_tokens(server) == [THIRD]
        result = server.stop(signal.SIGTERM)
    assert result.exit_code == 0
    assert [token for token in (FIRST, SECOND, THIRD) if token in result.stderr] == []
    assert (tmp_path / "from-file.db").exists()


@pytest.mark.slow
def test_workers(tmp_path: Path) -> None:
    """SIGHUP reaches every worker, and one that replaces another has the tokens of that time."""
    write_secrets(tmp_path)
    with running_server(tmp_path, **PRODUCTION, WORKERS="2") as server:
        wait_until(lambda: len(child_pids(server.pid)) == 2)
        (tmp_path / "token").write_text(THIRD)
        server.send_signal(signal.SIGHUP)
        server.wait_for_log(f"(?s){REREAD}.*{REREAD}")
        for worker in child_pids(server.pid):
            with paused(worker):  # the other one responds
                assert accepted_tokens(server) == [THIRD]
        killed, other = child_pids(server.pid)
        os.kill(killed, signal.SIGKILL)
        server.wait_for_log("starting a replacement")
        wait_until(lambda: len(set(child_pids(server.pid)) - {killed, other}) == 1)
        with paused(other):
            assert accepted_tokens(server) == [THIRD]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file or directory"),
        (b" \n", "it is empty"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"x" * 10_001, "it has more than 10000 bytes"),
    ],
)
@pytest.mark.parametrize("name", ["ADMIN_TOKEN", "METRICS_TOKEN", "DATABASE_URL", "RESTCOUNTRIES_API_KEY"])
def test_unusable_file(tmp_path: Path, name: str, content: bytes | None, problem: str) -> None:
    """A file that cannot be used is named with its setting and the reason."""
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    result = run_forked(tmp_path, "serve", **BUNDLED_SOURCES, **{f"{name}_FILE": "secret"})
    assert (result.exit_code, result.stderr) == (2, f"graphql-api: {name}_FILE: secret cannot be used: {problem}.\n")


def test_both(tmp_path: Path) -> None:
    """A secret and a file for it are a mistake, wherever each is set."""
    (tmp_path / "secret").write_text("from-the-file")
    (tmp_path / ".env").write_text("ADMIN_TOKEN_FILE=secret\n")
    result = run_forked(tmp_path, "serve", **BUNDLED_SOURCES, ADMIN_TOKEN=FIRST)
    message = "graphql-api: ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set. Remove one of them.\n"
    assert (result.exit_code, result.stderr) == (2, message)

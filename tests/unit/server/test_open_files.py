"""The limit of open files where it has no hard bound, and where the system allows less than it says."""

import resource
from pathlib import Path
from unittest.mock import Mock

import pytest

from graphql_api.server.open_files import fit_max_connections
from graphql_api.settings import Settings
from tests.support.app import make_settings
from tests.support.fake_providers.server import Upstream

NECESSARY = 500 + 2 * 30 + 100
"""Files for the default settings."""


@pytest.fixture
def settings(path: Path, upstream: Upstream) -> Settings:
    """Return settings whose connections need `NECESSARY` files."""
    return make_settings(path, upstream)


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to"),
    [
        (256, resource.RLIM_INFINITY, NECESSARY),
        (256, 100_000, NECESSARY),
        (NECESSARY - 1, NECESSARY, NECESSARY),
        (NECESSARY, NECESSARY, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_enough(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised_to: int | None
) -> None:
    """The soft limit is raised to what is necessary, not to the hard limit, and never lowered."""
    setrlimit = Mock()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    assert fit_max_connections(settings) is settings
    assert [call.args for call in setrlimit.call_args_list] == (
        [(resource.RLIMIT_NOFILE, (raised_to, hard))] if raised_to else []
    )


@pytest.mark.parametrize("error", [ValueError("not allowed"), OSError("Invalid argument")], ids=repr)
def test_limit_that_cannot_be_raised(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Where the system refuses a higher soft limit, MAX_CONNECTIONS fits the present one; other settings stay."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", Mock(side_effect=error))
    assert fit_max_connections(settings) == settings.model_copy(update={"max_connections": 96})
    warning = (
        "MAX_CONNECTIONS is 96 instead of 500: the limit of open files is 256 (ulimit -n), "
        "and the database and others may need 160. Raise the limit to 660."
    )
    assert caplog.messages == [warning]

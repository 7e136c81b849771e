"""Settings: defaults, parsing, error messages, and secrets that are never shown."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from pydantic import SecretStr

from graphql_api.errors import InvalidSetting
from graphql_api.settings import Settings, warn_of_near_misses

DEFAULTS = {
    "environment": "development",
    "host": "127.0.0.1",
    "port": 8000,
    "workers": 1,
    "database_url": "sqlite:///var/countries.db",
    "database_url_file": None,
    "database_ssl_ca": None,
    "database_pool_size": 10,
    "database_max_overflow": 20,
    "database_timeout": 10,
    "countries_sources": (("restcountries", None), ("geonames", None), ("bundled", None)),
    "rates_sources": (("er-api", None), ("frankfurter", None), ("bundled", None)),
    "statistics_sources": (("world-bank", None), ("bundled", None)),
    "restcountries_api_key": None,
    "restcountries_api_key_file": None,
    "api_timeout": 10,
    "refresh_timeout": 30,
    "refresh_interval": None,
    "refresh_min_interval": None,
    "refresh_max_waiting": 500,
    "stale_after": 86_400,
    "snapshot_poll": 2,
    "admin_token": None,
    "admin_token_file": None,
    "metrics_token": None,
    "metrics_token_file": None,
    "public_url": None,
    "forwarded_allow_ips": "127.0.0.1",
    "playground": None,
    "introspection": True,
    "cors_origins": (),
    "query_limits": {},
    "trusted_documents": None,
    "trusted_documents_only": False,
    "body_limit": 100_000,
    "batch_limit": 10,
    "response_cache_bytes": 32_000_000,
    "cache_max_age": 0,
    "request_timeout": 10,
    "keep_alive": 75,
    "max_connections": 500,
    "max_connections_per_client": 200,
    "rate_limit": None,
    "stop_delay": 0,
    "log_level": "info",
    "log_format": None,
    "log_sql": False,
    "access_log": False,
}


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the environment and .env of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in DEFAULTS:
        monkeypatch.delenv(name.upper(), raising=False)


def load_settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Load the settings from an environment with these variables, named in lower case."""
    for name, value in variables.items():
        monkeypatch.setenv(name.upper(), value)
    return Settings.load()


def test_defaults() -> None:
    """Without variables, every setting has its default."""
    assert Settings.load().model_dump() == DEFAULTS


def test_empty_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable means the default."""
    assert load_settings(monkeypatch, **dict.fromkeys(DEFAULTS, "")).model_dump() == DEFAULTS


def test_every_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting is read from the variable of its name; those of secrets exclude their files."""
    settings = load_settings(
        monkeypatch,
        environment="production",
        host="0.0.0.0",  # noqa: S104 - nothing is bound
        port="0",
        workers="2",
        database_url="sqlite:////data/x.db",
        database_ssl_ca="/run/secrets/ca.pem",
        database_pool_size="1",
        database_max_overflow="0",
        database_timeout="0.5",
        countries_sources="geonames=https://mirror.example/a?b=c , bundled,geonames",
        rates_sources="bundled",
        statistics_sources="world-bank=https://mirror.example/v2, bundled",
        restcountries_api_key=" rc_live_hunter2\n",
        api_timeout="1",
        refresh_timeout="2",
        refresh_interval="0.5",
        refresh_min_interval="0",
        refresh_max_waiting="1",
        stale_after="1000000000",
        snapshot_poll="1000000",
        admin_token=" hunter2\n",
        metrics_token=" hunter3\n",
        public_url="https://example.org/api/",
        forwarded_allow_ips="10.0.0.0/8, ::1",
        playground="true",
        introspection="0",
        cors_origins="https://a.example, http://localhost:3000",
        query_limits=" depth=15, cost=999999999",
        trusted_documents="documents.json",
        trusted_documents_only="Log",
        body_limit="1",
        batch_limit="1",
        response_cache_bytes="0",
        cache_max_age="60",
        request_timeout="0.5",
        keep_alive="1",
        max_connections="1",
        max_connections_per_client="2",
        rate_limit=" 5000/10",
        stop_delay="0.5",
        log_level="debug",
        log_format="json",
        log_sql="true",
        access_log="1",
    )
    assert settings.model_dump() == {
        "environment": "production",
        "host": "0.0.0.0",  # noqa: S104 - never bound
        "port": 0,
        "workers": 2,
        "database_url": "sqlite:////data/x.db",
        "database_ssl_ca": "/run/secrets/ca.pem",
        "database_pool_size": 1,
        "database_max_overflow": 0,
        "database_timeout": 0.5,
        "countries_sources": (("geonames", "https://mirror.example/a?b=c"), ("bundled", None), ("geonames", None)),
        "rates_sources": (("bundled", None),),
        "statistics_sources": (("world-bank", "https://mirror.example/v2"), ("bundled", None)),
        "restcountries_api_key": SecretStr("rc_live_hunter2"),
        "api_timeout": 1,
        "refresh_timeout": 2,
        "refresh_interval": 0.5,
        "refresh_min_interval": 0,
        "refresh_max_waiting": 1,
        "stale_after": 1e9,
        "snapshot_poll": 1e6,
        "admin_token": SecretStr("hunter2"),
        "metrics_token": SecretStr("hunter3"),
        "public_url": "https://example.org/api",
        "forwarded_allow_ips": "10.0.0.0/8, ::1",
        "playground": True,
        "introspection": False,
        "cors_origins": ("https://a.example", "http://localhost:3000"),
        "query_limits": {"depth": 15, "cost": 999_999_999},
        "trusted_documents": Path("documents.json"),
        "trusted_documents_only": "log",
        "body_limit": 1,
        "batch_limit": 1,
        "response_cache_bytes": 0,
        "cache_max_age": 60,
        "request_timeout": 0.5,
        "keep_alive": 1,
        "max_connections": 1,
        "max_connections_per_client": 2,
        "rate_limit": (5000, 10),
        "stop_delay": 0.5,
        "log_level": "debug",
        "log_format": "json",
        "log_sql": True,
        "access_log": True,
        **dict.fromkeys(("database_url_file", "restcountries_api_key_file", "admin_token_file", "metrics_token_file")),
    }


@pytest.mark.parametrize(("text", "rate_limit"), [("0", None), ("0/5", None), ("5000", (5000, 60)), ("1/1", (1, 1))])
def test_rate_limit(text: str, rate_limit: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate limit without seconds is of a minute, and 0 turns it off."""
    assert load_settings(monkeypatch, rate_limit=text).rate_limit == rate_limit


BE_A_FILE = "make it a file with lines NAME=value, or remove it."
BE_A_LINE = "should be NAME=value, with quotes in pairs."
NAMES = "should be name or name=URL, separated by commas; quote a URL that contains one"
SOURCE_URL = "geonames= must be followed by a complete http or https URL"
UNPAIRED_QUOTE = "has a double quote without its partner"
WEB_URL = "should be an http or https URL without ? and #"
PROXIES = "should be IP addresses or networks, separated by commas, or *"
TOKEN = "should be printable ASCII characters without spaces"
ORIGINS = "should be origins such as https://example.org, separated by commas, or *"
AT_LEAST_1 = "Input should be greater than or equal to 1"
LIMITS = "should be name=number, separated by commas, numbers from 1 to 999999999"
RATE_LIMIT = "should be cost/seconds, such as 100000/60, or 0 for no limit"
NUMBER = "Input should be a valid number, unable to parse string as a number"
INTEGER = "Input should be a valid integer, unable to parse string as an integer"
BOOLEAN = "Input should be a valid boolean, unable to interpret input"
SECRETS = ("admin_token", "metrics_token", "restcountries_api_key")
SWITCHES = ("playground", "introspection", "access_log", "log_sql")
SECONDS = ("database_timeout", "api_timeout", "refresh_timeout", "snapshot_poll", "request_timeout")


@pytest.mark.parametrize(
    "value",
    [
        'geonames="https://mirror.example/a,b?fields=name,capital",bundled',
        '"geonames=https://mirror.example/a,b?fields=name,capital" , "bundled"',
        'geonames="https://mirror.example/a,b?fields=name,"capital,bundled',
    ],
)
def test_url_with_commas(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commas between double quotes belong to a provider's URL."""
    settings = load_settings(monkeypatch, countries_sources=value)
    expected = (("geonames", "https://mirror.example/a,b?fields=name,capital"), ("bundled", None))
    assert settings.countries_sources == expected


def test_url_with_commas_in_a_file(tmp_path: Path) -> None:
    """In .env, which removes quotes around a whole value, the entry with the URL is in quotes of its own."""
    (tmp_path / ".env").write_text("RATES_SOURCES='er-api=\"https://mirror.example/?a=1,2\",bundled'\n", "utf-8")
    assert Settings.load().rates_sources == (("er-api", "https://mirror.example/?a=1,2"), ("bundled", None))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("environment", "prod", "Input should be 'development' or 'production'"),
        ("log_level", "loud", "Input should be 'debug', 'info', 'warning' or 'error'"),
        ("log_format", "text", "Input should be 'console' or 'json'"),
        ("port", "http", INTEGER),
        ("port", "80.5", INTEGER),
        ("port", "-1", "Input should be greater than or equal to 0"),
        ("port", "65536", "Input should be less than or equal to 65535"),
        *((name, "10s", NUMBER) for name in (*SECONDS, "stale_after")),
        *((name, "0", "Input should be greater than 0") for name in (*SECONDS, "stale_after")),
        *((name, "nan", "Input should be a finite number") for name in (*SECONDS, "stale_after")),
        *((name, "1000001", "Input should be less than or equal to 1000000") for name in SECONDS),
        *(
            (f"refresh_{name}interval", value, message)
            for name in ("", "min_")
            for value, message in (
                ("-1", "Input should be greater than or equal to 0"),
                ("inf", "Input should be a finite number"),
                ("1m", NUMBER),
            )
        ),
        ("refresh_max_waiting", "0", AT_LEAST_1),
        ("stale_after", "1000000001", "Input should be less than or equal to 1000000000"),
        ("countries_sources", " , ", "name at least one provider"),
        ("rates_sources", ",", "name at least one provider"),
        ("countries_sources", "geonames=ftp://mirror.example", SOURCE_URL),
        ("countries_sources", "geonames=", SOURCE_URL),
        ("countries_sources", "geonames=http://", SOURCE_URL),
        ("countries_sources", "geonames=http://a b", SOURCE_URL),
        ("countries_sources", "=http://mirror.example", NAMES),
        ("countries_sources", "geo names", NAMES),
        ("countries_sources", '"geonames,bundled"', NAMES),
        ("countries_sources", 'geonames="https://mirror.example,bundled', UNPAIRED_QUOTE),
        ("countries_sources", 'geonames"', UNPAIRED_QUOTE),
        ("countries_sources", "https://me:hunter2@mirror.example?key=hunter2", NAMES),
        ("public_url", "example.org", WEB_URL),
        ("public_url", "ftp://example.org", WEB_URL),
        ("public_url", "https://", WEB_URL),
        ("public_url", "https:///path", WEB_URL),
        ("public_url", "https://[::1", WEB_URL),
        ("public_url", "https://example.org:99999", WEB_URL),
        ("public_url", "https://example.org?x", WEB_URL),
        ("public_url", "https://example.org#", WEB_URL),
        ("public_url", "https://example.org/a b", WEB_URL),
        *(("forwarded_allow_ips", value, PROXIES) for value in ("proxy", "10.0.0.1 10.0.0.2", "*,")),
        *(
            ("query_limits", value, LIMITS)
            for value in ("depth", "depth=0", "depth=-1", "depth=1e3", "depth=1000000000", "=")
        ),
        *(
            ("cors_origins", value, ORIGINS)
            for value in ("example.org", "*,*", "https://a.example/", "https://A.example", "null")
        ),
        *((name, "0", AT_LEAST_1) for name in ("body_limit", "batch_limit", "keep_alive", "max_connections")),
        *(
            ("rate_limit", value, RATE_LIMIT)
            for value in ("-1", "1e3", "5000/0", "5000/", "/60", "5000 60", "1/1000000")
        ),
        ("trusted_documents_only", "maybe", "should be true, false or log"),
        ("database_pool_size", "0", "Input should be greater than or equal to 1"),
        ("database_max_overflow", "-1", "Input should be greater than or equal to 0"),
        *((name, " ", TOKEN) for name in SECRETS),
        *((name, "hunter 2", TOKEN) for name in SECRETS),
        *((name, "hünter2", TOKEN) for name in SECRETS),
        *((name, "maybe", BOOLEAN) for name in ("playground", "introspection", "access_log", "log_sql")),
    ],
)
def test_malformed(name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A malformed variable is rejected by name; the message has the rule, not the value."""
    with pytest.raises(InvalidSetting) as exc_info:
        load_settings(monkeypatch, **{name: value})
    assert str(exc_info.value) == f"{name.upper()}: {message}"


def test_all_malformed_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message names every malformed variable."""
    with pytest.raises(InvalidSetting) as exc_info:
        load_settings(monkeypatch, port="http", admin_token="hunter 2", playground="maybe")
    assert str(exc_info.value) == f"PORT: {INTEGER}; ADMIN_TOKEN: {TOKEN}; PLAYGROUND: {BOOLEAN}"


def test_pydantic_error_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error hides pydantic's own, which has the value, from tracebacks."""
    with pytest.raises(InvalidSetting) as exc_info:
        load_settings(monkeypatch, admin_token="hunter 2")
    assert (exc_info.value.__cause__, exc_info.value.__suppress_context__) == (None, True)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed settings have no token, and no password or key of a URL."""
    settings = load_settings(
        monkeypatch,
        admin_token="hunter2",
        restcountries_api_key="hunter2",
        database_url="mysql://root:hunter2@db/countries",
        countries_sources="geonames=https://mirror.example?key=hunter2",
        rates_sources="er-api=https://mirror.example?key=hunter2",
    )
    assert [text for text in (str(settings), repr(settings)) if "hunter2" in text] == []


@pytest.mark.parametrize(("key", "keys"), [("", {}), ("hunter2", {"RESTCOUNTRIES_API_KEY": "hunter2"})])
def test_provider_keys(key: str, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """provider_keys has the keys that are set, by the names of their variables."""
    assert load_settings(monkeypatch, restcountries_api_key=key).provider_keys == keys


@pytest.mark.parametrize(
    ("variables", "tokens"),
    [
        ({}, ()),
        ({"admin_token": "a"}, ()),
        ({"environment": "production", "admin_token": "a"}, ("a",)),
        ({"environment": "production", "admin_token": "a,b", "metrics_token": "m"}, ("m", "a", "b")),
        ({"metrics_token": "m"}, ("m",)),
    ],
)
def test_metrics_tokens(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], tokens: tuple[str, ...]) -> None:
    """Metrics need one of the tokens in production, and where they have one of their own."""
    assert load_settings(monkeypatch, **variables).metrics_tokens == [*tokens]


def test_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read from .env, the environment overrides it, and names of Docker Compose are left to it."""
    (tmp_path / ".env").write_text("PORT=81\nhost=192.0.2.1\nMYSQL_PASSWORD=x\nCOMPOSE_PROJECT_NAME=x\n")
    settings = load_settings(monkeypatch, host="192.0.2.2")
    assert settings.model_dump() == {**DEFAULTS, "port": 81, "host": "192.0.2.2"}


def test_malformed_env_file(tmp_path: Path) -> None:
    """A malformed variable in .env is rejected like one in the environment."""
    (tmp_path / ".env").write_text("PORT=http\n")
    with pytest.raises(InvalidSetting) as exc_info:
        Settings.load()
    assert str(exc_info.value) == f"PORT: {INTEGER}"


def test_unknown_names_in_env_file(tmp_path: Path) -> None:
    """Every name in .env that is no setting is rejected, with the nearest one and without its value."""
    (tmp_path / ".env").write_text("DATABSE_URL=hunter2\nPORT=81\n# X=1\ncors_allowed_origins=*\nHTTP_PROXY=hunter2\n")
    with pytest.raises(InvalidSetting) as exc_info:
        Settings.load()
    assert str(exc_info.value) == (
        ".env, line 1: DATABSE_URL is not a setting. Did you mean DATABASE_URL? "
        "line 4: cors_allowed_origins is not a setting. Did you mean CORS_ORIGINS? "
        "line 5: HTTP_PROXY is not a setting. docs/configuration.md lists all settings."
    )


def test_near_misses(caplog: pytest.LogCaptureFixture) -> None:
    """A variable that is almost a setting is one warning; others, and settings in any case, are none."""
    names = ["DATABSE_URL", "PROT", "Log_Levle", "port", "ADMIN_TOKEN", "HOME", "PATH", "CORS", "HTTP_PROXY", "X", ""]
    warn_of_near_misses(names)
    assert caplog.messages == [
        "DATABSE_URL is set, but is not a setting. Did you mean DATABASE_URL?",
        "Log_Levle is set, but is not a setting. Did you mean LOG_LEVEL?",
        "PROT is set, but is not a setting. Did you mean PORT?",
    ]


def test_case_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that a setting can be have no case."""
    settings = load_settings(monkeypatch, environment="Production", log_level=" INFO ", log_format="JSON")
    assert (settings.environment, settings.log_level, settings.log_format) == ("production", "info", "json")


def make_env_folder(path: Path) -> None:
    """Make the folder that Docker makes if the file to mount is missing."""
    path.mkdir()


def make_env_pipe(path: Path) -> None:
    """Make a pipe without a writer: opening it would wait without end."""
    os.mkfifo(path)


def make_dead_link(path: Path) -> None:
    """Make a link to a file that does not exist."""
    path.symlink_to("missing")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_env_folder, f".env is a folder; {BE_A_FILE}"),
        (make_env_pipe, f".env is a pipe, a device or a link to nothing; {BE_A_FILE}"),
        (make_dead_link, f".env is a pipe, a device or a link to nothing; {BE_A_FILE}"),
        (lambda path: path.symlink_to(".env"), f".env is a pipe, a device or a link to nothing; {BE_A_FILE}"),
        (lambda path: path.write_bytes(b"PORT=\xff\n"), ".env is not UTF-8: invalid start byte at byte 5."),
        (lambda path: path.write_text('PORT=1\nHOST="::1\n'), f".env, line 2: {BE_A_LINE}"),
        (lambda path: path.write_text("=1\n"), f".env, line 1: {BE_A_LINE}"),
    ],
)
def test_unusable_env_file(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    """A .env that cannot be read as a whole is rejected, and nothing of it is used."""
    make(tmp_path / ".env")
    with pytest.raises(InvalidSetting) as exc_info:
        Settings.load()
    assert str(exc_info.value) == message


def test_unreadable_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env that this user may not read is rejected with the reason."""
    (tmp_path / ".env").touch()
    # The tests may run as root, who may read everything.
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(InvalidSetting) as exc_info:
        Settings.load()
    assert str(exc_info.value) == ".env cannot be read: Permission denied."


def test_env_file_of_another_editor(tmp_path: Path) -> None:
    """A .env file may begin with a byte order mark, and have lines that end as on Windows."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPORT=81\r\n\r\n# A comment\r\nexport WORKERS = '2'\r\n")
    settings = Settings.load()
    assert (settings.port, settings.workers) == (81, 2)


@pytest.mark.parametrize(
    ("environment", "setting", "is_enabled"),
    [
        ("development", "", True),
        ("development", "true", True),
        ("development", "false", False),
        ("production", "", False),
        ("production", "true", True),
        ("production", "false", False),
    ],
)
def test_playground(environment: str, setting: str, is_enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """PLAYGROUND decides; unless it is set, the playground is on outside production only."""
    assert load_settings(monkeypatch, environment=environment, playground=setting).has_playground is is_enabled


@pytest.mark.parametrize("environment", ["development", "production"])
def test_introspection(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """INTROSPECTION decides; unless it is set, introspection is on, in production too."""
    assert load_settings(monkeypatch, environment=environment, introspection="").introspection is True
    assert load_settings(monkeypatch, environment=environment, introspection="false").introspection is False


GENERATE = "Generate one: ADMIN_TOKEN=$(openssl rand -hex 24)"
NO_TOKEN = (
    "ADMIN_TOKEN is required {}; without it, any client that reaches the server can refresh and delete. " + GENERATE
)
SHORT_TOKEN = "ADMIN_TOKEN is too short; it needs at least 16 characters {}. " + GENERATE
EXPOSED = "because HOST a-name is not a loopback address"
NO_PUBLIC_URL = (
    "PUBLIC_URL is required in production, because absolute URLs start with it. "
    "Set it, for example to https://countries.example.org."
)
NO_DATABASE_URL = (
    "DATABASE_URL is required in production. Set it, for example to mysql://user:password@host:3306/database, "
    "or to sqlite:///var/countries.db for a file."
)
TOKEN_OF_15, TOKEN_OF_16 = "x" * 15, "x" * 16
PRODUCTION = {"environment": "production", "host": "a-name", "database_url": "sqlite:///x.db"}
DEVELOPMENT = {"host": "a-name"}


@pytest.mark.parametrize(
    ("variables", "addresses", "message"),
    [
        (DEVELOPMENT, ["0.0.0.0"], NO_TOKEN.format(EXPOSED)),  # noqa: S104 - nothing is bound
        (DEVELOPMENT, ["::"], NO_TOKEN.format(EXPOSED)),
        (DEVELOPMENT, ["127.0.0.1", "192.0.2.1"], NO_TOKEN.format(EXPOSED)),
        (DEVELOPMENT, ["fe80::1%eth0"], NO_TOKEN.format(EXPOSED)),
        (DEVELOPMENT | {"admin_token": "a"}, ["::"], SHORT_TOKEN.format(EXPOSED)),
        (DEVELOPMENT | {"admin_token": TOKEN_OF_15}, ["::"], SHORT_TOKEN.format(EXPOSED)),
        (PRODUCTION, ["127.0.0.1"], f"{NO_TOKEN.format('in production')} {NO_PUBLIC_URL}"),
        (
            PRODUCTION | {"database_url": ""},
            [],
            f"{NO_TOKEN.format('in production')} {NO_PUBLIC_URL} {NO_DATABASE_URL}",
        ),
        (
            PRODUCTION | {"database_url": "", "admin_token": TOKEN_OF_16, "public_url": "https://example.org"},
            [],
            NO_DATABASE_URL,
        ),
        (PRODUCTION | {"public_url": "https://example.org"}, ["::"], NO_TOKEN.format("in production")),
        *(
            (PRODUCTION | {"admin_token": token}, [], f"{SHORT_TOKEN.format('in production')} {NO_PUBLIC_URL}")
            for token in (TOKEN_OF_15, f" {TOKEN_OF_15} ")
        ),
        (PRODUCTION | {"admin_token": TOKEN_OF_16}, ["::"], NO_PUBLIC_URL),
    ],
)
def test_exposed(
    variables: dict[str, str], addresses: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public address requires a token of 16 characters, and production PUBLIC_URL and DATABASE_URL too, all named."""
    settings = load_settings(monkeypatch, **variables)
    with pytest.raises(InvalidSetting) as exc_info:
        settings.require_secure_exposure(addresses)
    assert str(exc_info.value) == message


@pytest.mark.parametrize(
    ("variables", "addresses"),
    [
        ({}, []),
        ({}, ["127.0.0.1", "::1"]),
        ({}, ["127.0.0.2"]),
        ({"admin_token": "a"}, ["::1%lo"]),
        ({"admin_token": TOKEN_OF_16}, ["0.0.0.0", "::"]),  # noqa: S104 - nothing is bound
        (PRODUCTION | {"admin_token": TOKEN_OF_16, "public_url": "https://example.org"}, ["::"]),
    ],
)
def test_not_exposed(variables: dict[str, str], addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A loopback address requires no token; with token and URL, any address is accepted."""
    load_settings(monkeypatch, **variables).require_secure_exposure(addresses)


@pytest.mark.parametrize("host", ["::1", "[::1]", " ::1\n", " [::1] "])
def test_host_in_brackets(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOST may have the brackets of a URL, and spaces around it."""
    assert load_settings(monkeypatch, host=host).host == "::1"


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 0),
        ({"environment": "production"}, 60),
        ({"environment": "production", "refresh_min_interval": "0"}, 0),
        ({"refresh_min_interval": "7.5"}, 7.5),
    ],
)
def test_effective_refresh_min_interval(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], seconds: float
) -> None:
    """REFRESH_MIN_INTERVAL defaults to 60 seconds in production, and to 0 elsewhere."""
    assert load_settings(monkeypatch, **variables).effective_refresh_min_interval == seconds


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 0),
        ({"environment": "production"}, 21_600),
        ({"environment": "production", "refresh_interval": "0"}, 0),
        ({"refresh_interval": "7.5"}, 7.5),
    ],
)
def test_effective_refresh_interval(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], seconds: float) -> None:
    """REFRESH_INTERVAL defaults to six hours in production, and to off elsewhere."""
    assert load_settings(monkeypatch, **variables).effective_refresh_interval == seconds


@pytest.mark.parametrize(
    ("variables", "log_format"),
    [
        ({}, "console"),
        ({"environment": "production"}, "json"),
        ({"environment": "production", "log_format": "console"}, "console"),
        ({"log_format": "json"}, "json"),
    ],
)
def test_log_format(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], log_format: str) -> None:
    """LOG_FORMAT defaults to JSON in production, and to console elsewhere."""
    assert load_settings(monkeypatch, **variables).effective_log_format == log_format

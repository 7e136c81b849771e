"""Settings: one typed field per environment variable, read from the environment or from `.env`."""

import ipaddress
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from graphql_api.env_file import ENV_ENCODING, ENV_FILE, check_env_file
from graphql_api.errors import InvalidSetting
from graphql_api.secret_files import SECRETS, SecretFiles
from graphql_api.setting_types import (
    IN_LOWER_CASE,
    Host,
    Interval,
    Origins,
    Proxies,
    QueryLimitOverrides,
    RateLimit,
    Seconds,
    SourceList,
    Token,
    Tokens,
    TrustedOnly,
    WebURL,
)
from graphql_api.utils.near_misses import find_near_misses

logger = logging.getLogger(__name__)

_PRODUCTION_REFRESH_INTERVAL = 21_600
"""Seconds: exchange rates change daily, at a time that a deployed server does not know."""
_MIN_TOKEN_LENGTH = 16
"""Characters of a token that protects a server that others can reach."""


class Settings(BaseSettings):
    """Every setting. A variable has the name of its field in upper case."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_file_encoding=ENV_ENCODING, env_ignore_empty=True, extra="ignore", frozen=True
    )

    environment: Annotated[Literal["development", "production"], IN_LOWER_CASE] = "development"
    host: Host = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    database_url: str = Field(default="sqlite:///var/countries.db", repr=False)
    database_url_file: Path | None = None
    database_ssl_ca: str | None = Field(default=None, repr=False)
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    database_max_overflow: int = Field(default=20, ge=0, le=1000)
    database_timeout: Seconds = 10
    countries_sources: SourceList = (("restcountries", None), ("geonames", None), ("bundled", None))
    rates_sources: SourceList = (("er-api", None), ("frankfurter", None), ("bundled", None))
    statistics_sources: SourceList = (("world-bank", None), ("bundled", None))
    restcountries_api_key: Token | None = None
    restcountries_api_key_file: Path | None = None
    api_timeout: Seconds = 10
    refresh_timeout: Seconds = 30
    refresh_interval: Interval | None = None
    refresh_min_interval: Interval | None = None
    refresh_max_waiting: int = Field(default=500, ge=1, le=1_000_000)
    stale_after: float = Field(default=86_400, gt=0, le=1_000_000_000, allow_inf_nan=False)
    snapshot_poll: Seconds = 2
    admin_token: Tokens | None = None
    admin_token_file: Path | None = None
    metrics_token: Tokens | None = None
    metrics_token_file: Path | None = None
    public_url: WebURL | None = None
    forwarded_allow_ips: Proxies = "127.0.0.1"
    playground: bool | None = None
    introspection: bool = True
    cors_origins: Origins = ()
    query_limits: QueryLimitOverrides = {}
    trusted_documents: Path | None = None
    trusted_documents_only: TrustedOnly = False
    body_limit: int = Field(default=100_000, ge=1, le=100_000_000)
    batch_limit: int = Field(default=10, ge=1, le=1000)
    response_cache_bytes: int = Field(default=32_000_000, ge=0, le=10_000_000_000)
    cache_max_age: int = Field(default=0, ge=0, le=31_536_000)
    request_timeout: Seconds = 10
    keep_alive: int = Field(default=75, ge=1, le=100_000)
    max_connections: int = Field(default=500, ge=1, le=100_000)
    max_connections_per_client: int = Field(default=200, ge=1, le=100_000)
    rate_limit: RateLimit = None
    stop_delay: float = Field(default=0, ge=0, le=3600, allow_inf_nan=False)
    log_level: Annotated[Literal["debug", "info", "warning", "error"], IN_LOWER_CASE] = "info"
    log_format: Annotated[Literal["console", "json"] | None, IN_LOWER_CASE] = None
    log_sql: bool = False
    access_log: bool = False

    @classmethod
    def load(cls) -> Self:
        """Read the environment and `.env`.

        Raises:
            InvalidSetting: `.env` is unusable, or at least one variable is malformed. The message names each.
        """
        try:
            check_env_file(Path(ENV_FILE), cls.list_names())
            return cls()
        except OSError as error:
            raise InvalidSetting(f"{ENV_FILE} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError as error:
            raise InvalidSetting(f"{ENV_FILE} is not UTF-8: {error.reason} at byte {error.start}.") from None
        except ValidationError as error:
            problems = (
                f"{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors(include_url=False, include_input=False)
            )
            raise InvalidSetting("; ".join(problems)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base's; its folder has one file per setting
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the files that the environment and `.env` name, after these two."""
        return init_settings, env_settings, dotenv_settings, SecretFiles(settings_cls)

    @classmethod
    def list_names(cls) -> list[str]:
        """Return the name of every variable."""
        return [name.upper() for name in cls.model_fields]

    @property
    def is_production(self) -> bool:
        """Return whether ENVIRONMENT is production."""
        return self.environment == "production"

    @property
    def has_playground(self) -> bool:
        """Return PLAYGROUND; unless set, whether this is not production."""
        return not self.is_production if self.playground is None else self.playground

    @property
    def effective_log_format(self) -> str:
        """Return LOG_FORMAT; unless set, JSON in production, console elsewhere."""
        return self.log_format or ("json" if self.is_production else "console")

    @property
    def effective_refresh_interval(self) -> float:
        """Return REFRESH_INTERVAL in seconds; unless set, six hours in production, 0 (off) elsewhere."""
        default = _PRODUCTION_REFRESH_INTERVAL if self.is_production else 0
        return default if self.refresh_interval is None else self.refresh_interval

    @property
    def effective_refresh_min_interval(self) -> float:
        """Return REFRESH_MIN_INTERVAL in seconds; unless set, 60 in production, 0 elsewhere."""
        default = 60 if self.is_production else 0
        return default if self.refresh_min_interval is None else self.refresh_min_interval

    @property
    def admin_tokens(self) -> list[str]:
        """Return the tokens of ADMIN_TOKEN, each of which authorizes."""
        return _split_tokens(self.admin_token)

    @property
    def metrics_tokens(self) -> list[str]:
        """Return the tokens that read /metrics. None are required outside production, unless METRICS_TOKEN is set."""
        if self.metrics_token is None and not self.is_production:
            return []
        return [*_split_tokens(self.metrics_token), *self.admin_tokens]

    @property
    def secret_files(self) -> dict[str, Path]:
        """Return the files that hold secrets, by the names of the fields of these secrets."""
        paths = {name: getattr(self, f"{name}_file") for name in SECRETS}
        return {name: path for name, path in paths.items() if path is not None}

    @property
    def rereads_files(self) -> bool:
        """Return whether SIGHUP has files read again, instead of stopping the server."""
        return bool(self.secret_files or self.trusted_documents)

    def reread_secrets(self) -> Self:
        """Return these settings with what the secret files contain now.

        Raises:
            InvalidSetting: a file is unusable, its secret is malformed or too short, or `load` fails.
        """
        settings = self.load()
        settings.require_secure_exposure()
        return self.model_copy(update={name: getattr(settings, name) for name in self.secret_files})

    @property
    def provider_keys(self) -> dict[str, str]:
        """Return the providers' keys that are set, by the names of their variables."""
        key = self.restcountries_api_key
        return {"RESTCOUNTRIES_API_KEY": key.get_secret_value()} if key else {}

    def require_database(self) -> None:
        """Check that production names its database: a file that nobody chose may be gone with its container.

        Raises:
            InvalidSetting: DATABASE_URL is required, and missing.
        """
        _require(self._database_problems())

    def require_secure_exposure(self, addresses: Sequence[str] = ()) -> None:
        """Check that a server that others can reach at `addresses` is protected, and what `require_database` checks.

        Raises:
            InvalidSetting: ADMIN_TOKEN, PUBLIC_URL or DATABASE_URL is required, and missing or too short. The message
                names each.
        """
        exposed = [address for address in addresses if not ipaddress.ip_address(address).is_loopback]
        problems: list[str] = []
        if self.is_production:
            problems += self._token_problems("in production")
        elif exposed:
            problems += self._token_problems(f"because HOST {self.host} is not a loopback address")
        if self.public_url is None and self.is_production:
            problems.append(
                "PUBLIC_URL is required in production, because absolute URLs start with it. "
                "Set it, for example to https://countries.example.org."
            )
        _require([*problems, *self._database_problems()])

    def _database_problems(self) -> list[str]:
        if not self.is_production or "database_url" in self.model_fields_set:
            return []
        problem = (
            "DATABASE_URL is required in production. Set it, for example to mysql://user:password@host:3306/database, "
            "or to sqlite:///var/countries.db for a file."
        )
        return [problem]

    def _token_problems(self, condition: str) -> list[str]:
        if self.admin_token is None:
            problem = f"is required {condition}; without it, any client that reaches the server can refresh and delete"
        elif min(map(len, self.admin_tokens)) < _MIN_TOKEN_LENGTH:
            problem = f"is too short; it needs at least {_MIN_TOKEN_LENGTH} characters {condition}"
        else:
            return []
        return [f"ADMIN_TOKEN {problem}. Generate one: ADMIN_TOKEN=$(openssl rand -hex 24)"]


def warn_of_near_misses(variables: Collection[str]) -> None:
    """Log a warning for each environment variable that is almost a setting."""
    for variable, setting in find_near_misses(sorted(variables), Settings.list_names()):
        logger.warning("%s is set, but is not a setting. Did you mean %s?", variable, setting)


def _require(problems: Sequence[str]) -> None:
    if problems:
        raise InvalidSetting(" ".join(problems))


def _split_tokens(tokens: SecretStr | None) -> list[str]:
    return tokens.get_secret_value().split(",") if tokens else []

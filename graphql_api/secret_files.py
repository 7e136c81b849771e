"""Secrets in files, as Docker and Kubernetes mount them, for settings of the same name with the suffix `_FILE`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from graphql_api.errors import InvalidSetting

SECRETS = ("database_url", "restcountries_api_key", "admin_token", "metrics_token")
"""Fields of the settings whose value may be in a file."""
_MAX_BYTES = 10_000


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the files that the sources of settings before this one name."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base's
        """Return nothing: `__call__` reads all fields."""
        return None, field_name, False

    def __call__(self) -> Mapping[str, str]:  # type: ignore[override] # the base's dict is only read
        """Return the secrets by their fields.

        Raises:
            InvalidSetting: a file is unusable, or its secret is set too.
        """
        paths = {name: Path(path) for name in SECRETS if (path := self.current_state.get(f"{name}_file"))}
        for name in paths.keys() & self.current_state.keys():
            raise InvalidSetting(f"{name.upper()} and {name.upper()}_FILE are both set. Remove one of them.")
        return read_secrets(paths)


def read_secrets(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return the text of each file, without white space around it.

    Raises:
        InvalidSetting: one is not a readable file of some text. The message quotes nothing of it.
    """
    secrets = {}
    for name, path in paths.items():
        try:
            secrets[name] = _read(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidSetting(f"{name.upper()}_FILE: {path} cannot be used: {reason}.") from None
    return secrets


def _read(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")  # a pipe could be read only once
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not text or len(content) > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES} bytes" if text else "it is empty")
    return text

"""The file `.env`: rejected as a whole rather than read in part."""

import os
from collections.abc import Collection
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from graphql_api.errors import InvalidSetting
from graphql_api.utils.near_misses import find_nearest

ENV_FILE = ".env"
ENV_ENCODING = "utf-8-sig"
"""UTF-8, also with the mark that editors on Windows put first: it would belong to the first name."""
_COMPOSE_PREFIXES = ("COMPOSE_", "MYSQL_")
"""Names in .env that Docker Compose and compose.yaml use."""


def check_env_file(path: Path, names: Collection[str]) -> None:
    """Reject a file that pydantic would skip, wait for or read in part, and names that are not in `names`.

    Raises:
        InvalidSetting: the file cannot be used. The message names each line.
    """
    if not os.path.lexists(path):
        return
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe, a device or a link to nothing"
        raise InvalidSetting(f"{path} is {kind}; make it a file with lines NAME=value, or remove it.")
    problems = []
    for binding in parse_stream(StringIO(path.read_text(ENV_ENCODING))):
        name = (binding.key or "").upper()
        if binding.error:
            problems.append(f"line {binding.original.line}: should be NAME=value, with quotes in pairs.")
        elif name and name not in names and not name.startswith(_COMPOSE_PREFIXES):
            nearest = find_nearest(name, names)
            hint = f"Did you mean {nearest}?" if nearest else "docs/configuration.md lists all settings."
            problems.append(f"line {binding.original.line}: {binding.key} is not a setting. {hint}")
    if problems:
        raise InvalidSetting(f"{path}, {' '.join(problems)}")

"""The container's files, tested without a container engine: contents, build steps, commands."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphql_api import __version__
from graphql_api.http.site.playground import BUNDLE_FOLDER, Playground
from graphql_api.settings import Settings
from tests.support import http_client
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.dockerfile import (
    find_instructions,
    is_in_build_context,
    parse_command,
    parse_environment,
    read_stages,
)
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, inherited_environment, running_process
from tests.support.server import NEEDS_IPV6, free_port, running_http_server

PLAYGROUND, BUILD, FINAL = read_stages()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
HEALTH_COMMAND = parse_command(FINAL, "HEALTHCHECK")
TOKEN = "hunter2-hunter2-hunter2"
SECRETS = ["ADMIN_TOKEN", "MYSQL_PASSWORD"]
"""Variables that compose.yaml requires."""

UNSHARE_COMMAND = ["unshare", "--mount"]
READ_ONLY_SCRIPT = """
while read -r _ _ _ _ where _; do
    mount -o remount,bind,ro "$where" 2>/dev/null
done </proc/self/mountinfo
for folder in . /tmp /var/tmp /dev/shm; do
    touch "$folder/written" 2>/dev/null && echo "$folder can be written" >&2 && exit 99
done
exec "$@"
"""
"""Makes every file system read-only for one process, checks that, and runs a command."""


def test_base() -> None:
    """Both Python stages use one slim image whose tag names a patch version."""
    image, _, _ = BUILD[0].text.partition(" ")
    assert re.fullmatch(r"python:3\.13\.\d+-slim-bookworm", image)
    assert (BUILD[0].text, FINAL[0].text) == (f"{image} AS build", image)


def test_labels() -> None:
    """The image names its version, licence, base and revision, as OCI's annotations do."""
    (labels,) = find_instructions(FINAL, "LABEL")
    assert dict(word.removeprefix("org.opencontainers.image.").split("=", 1) for word in shlex.split(labels)) == {
        "title": "graphql-api",
        "description": "A GraphQL API for the world's countries",
        "version": __version__,
        "revision": "$REVISION",
        "licenses": "MIT",
        "base.name": f"docker.io/library/{FINAL[0].text}",
    }
    assert find_instructions(FINAL, "ARG") == ["REVISION=unknown"]


def test_python_of_the_image() -> None:
    """The library whose bytecode the image compiles is that of its Python."""
    minor = FINAL[0].text.removeprefix("python:").rsplit(".", 1)[0]
    assert f" /usr/local/lib/python{minor} " in find_instructions(FINAL, "RUN")[0]


def test_build() -> None:
    """Dependencies are installed by hash, and the package as a wheel, not in editable mode."""
    install_commands = [text for text in find_instructions(BUILD, "RUN") if " install " in text]
    assert len(install_commands) == 2
    assert "--require-hashes -r requirements.txt" in install_commands[0]
    assert "--no-index --no-deps dist/*.whl" in install_commands[1]


@pytest.mark.slow
def test_playground(tmp_path: Path) -> None:
    """The playground stage leaves all files the page needs, with licences, in less than 10 MB."""
    if shutil.which("npm") is None:
        pytest.skip("install nodejs and npm to run the playground stage")
    assert re.fullmatch(r"node:\d+-bookworm-slim AS playground", PLAYGROUND[0].text)
    assert find_instructions(PLAYGROUND, "COPY") == ["playground ./"]
    folder = tmp_path / "share" / "graphql-api" / "playground"
    shutil.copytree(ROOT / "playground", folder)
    (command,) = find_instructions(PLAYGROUND, "RUN")
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, capture_output=True)
    bundle = tmp_path / BUNDLE_FOLDER.relative_to(sys.prefix)
    playground = Playground.load(bundle, is_token_required=True, get_base_url=lambda _: "")
    assert {"graphiql.js", "editor.worker.js", "graphql.worker.js", "json.worker.js"} <= playground.bundle.keys()
    assert sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) < 10_000_000
    licences = (bundle / "LICENSES.txt").read_text()
    assert all(f"\n{name} " in licences for name in ("flag-icons", "graphiql", "monaco-editor", "react"))


def test_final_stage() -> None:
    """The final stage installs nothing, copies the built folders only, and does not run as root."""
    (run,) = find_instructions(FINAL, "RUN")
    assert re.findall(r"apt-get|curl|gcc| install ", run) == []
    assert run.startswith("pip uninstall --yes ")
    files = "/app/share/graphql-api/playground/dist"
    assert find_instructions(FINAL, "COPY") == ["--from=build /app /app", f"--from=playground /playground/dist {files}"]
    assert find_instructions(FINAL, "USER") == ["10001:10001"]
    assert "useradd --uid 10001 " in run
    assert find_instructions(FINAL, "EXPOSE") == [str(Settings().port)]
    assert parse_command(FINAL, "ENTRYPOINT") + parse_command(FINAL, "CMD") == ["graphql-api", "serve"]
    assert find_instructions(FINAL, "STOPSIGNAL") == ["SIGINT"]


def test_environment() -> None:
    """The image listens on all addresses in production mode, which requires a token and a URL."""
    assert parse_environment(FINAL) == {
        "PATH": "/app/bin:$PATH",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "ENVIRONMENT": "production",
        "HOST": "0.0.0.0",  # noqa: S104 - within the container
    }


def test_context() -> None:
    """The build context has what the image is built from, and no secret, database or history."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.splitlines()
    other_files = {path for path in tracked if is_in_build_context(path) and not path.startswith("graphql_api/")}
    assert other_files == {
        "LICENSE",
        "README.md",
        "playground/build.mjs",
        "playground/package-lock.json",
        "playground/package.json",
        "playground/patches.mjs",
        "playground/src/graphiql.css",
        "playground/src/graphiql.js",
        "pyproject.toml",
        "requirements.txt",
        "scripts/build_backend.py",
    }
    assert [path for path in tracked if path.startswith("graphql_api/") and not is_in_build_context(path)] == []
    excluded = [".env", ".git/config", "var/countries.db", "graphql_api/cli/__pycache__/a.pyc"]
    assert [path for path in excluded if is_in_build_context(path)] == []


def test_drivers() -> None:
    """The drivers for PostgreSQL and for the passwords of MySQL are pinned for the image."""
    packages = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert [name for name in packages if name in ("asyncpg", "cryptography")] == ["asyncpg", "cryptography"]


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Return a value of compose.yaml with its variables replaced by values or defaults."""

    def substitute(match: re.Match[str]) -> str:
        if match["operator"] == ":?":
            return variables[match["name"]]
        return variables.get(match["name"]) or match["text"]

    return re.sub(r"\$\{(?P<name>\w+)(?P<operator>:[?-])(?P<text>[^}]*)\}", substitute, text)


def test_compose_server() -> None:
    """The server's container is read-only and unprivileged, and waits for a healthy database."""
    service = COMPOSE["services"]["countries"]
    assert {name: value for name, value in service.items() if name != "environment"} == {
        "build": ".",
        "depends_on": {"mysql": {"condition": "service_healthy"}},
        "ports": ["127.0.0.1:8000:8000"],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
    }


def test_compose_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two secrets without defaults are all the server requires."""
    templates = COMPOSE["services"]["countries"]["environment"]
    variables = dict(zip(SECRETS, (TOKEN, "letters8digits"), strict=True))
    for secret in variables:
        incomplete = {name: value for name, value in variables.items() if name != secret}
        with pytest.raises(KeyError, match=secret):
            _ = [interpolate(value, incomplete) for value in templates.values()]
    values = {name: interpolate(value, variables) for name, value in templates.items()}
    assert values == {
        "ADMIN_TOKEN": TOKEN,
        "DATABASE_URL": "mysql://countries:letters8digits@mysql:3306/countries",
        "METRICS_TOKEN": "",
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "REFRESH_INTERVAL": "21600",
    }
    for name, value in {**parse_environment(FINAL), **values}.items():
        monkeypatch.setenv(name, value)
    Settings.load().require_secure_exposure([parse_environment(FINAL)["HOST"]])


def test_compose_database() -> None:
    """MySQL 9.7 creates the database and user of the server's URL, and stores them in a volume."""
    service = COMPOSE["services"]["mysql"]
    assert service["image"] == "mysql:9.7"
    assert {
        name: interpolate(value, {"MYSQL_PASSWORD": "letters8digits"}) for name, value in service["environment"].items()
    } == {
        "MYSQL_DATABASE": "countries",
        "MYSQL_USER": "countries",
        "MYSQL_PASSWORD": "letters8digits",
        "MYSQL_RANDOM_ROOT_PASSWORD": "yes",
    }
    assert service["volumes"] == ["mysql:/var/lib/mysql"]
    kind, command = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    assert shlex.split(command.replace("$$", "$")) == [
        "MYSQL_PWD=$MYSQL_PASSWORD",
        "mysql",
        "--host=127.0.0.1",
        "--user=$MYSQL_USER",
        "--execute=SELECT 1",
        "$MYSQL_DATABASE",
    ]


def test_compose_metrics() -> None:
    """Prometheus and Grafana start with their profile only, at exact versions, reachable from this machine only."""
    services = {name: service for name, service in COMPOSE["services"].items() if "profiles" in service}
    assert list(services) == ["prometheus", "grafana"]
    for service in services.values():
        assert service["profiles"] == ["metrics"]
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        for volume in service["volumes"]:
            source, _, target = volume.partition(":")
            assert source in COMPOSE["volumes"] or ((ROOT / source).is_file() and target.endswith(":ro")), volume
    mounted = {
        volume.split(":")[0] for service in COMPOSE["services"].values() for volume in service.get("volumes", ())
    }
    assert set(COMPOSE["volumes"]) == {name for name in mounted if not name.startswith(".")}
    # Grafana creates no account with a known password.
    environment = services["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_prometheus() -> None:
    """Prometheus scrapes the server's port with the token that the server accepts, and its job has the alerts' name."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    assert job["job_name"].startswith("graphql-api")
    (target,) = job["static_configs"]
    assert target["targets"] == [f"countries:{Settings.model_fields['port'].default}"]
    (secret,) = COMPOSE["services"]["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    assert COMPOSE["secrets"] == {secret: {"environment": "METRICS_TOKEN"}}
    mounts = dict(volume.split(":")[:2] for volume in COMPOSE["services"]["prometheus"]["volumes"])
    assert [f"/etc/prometheus/{name}" for name in config["rule_files"]] == [mounts["./docs/alerts.yaml"]]


def test_grafana() -> None:
    """Grafana's data source is the Prometheus beside it, and its dashboard the one of the docs."""
    services = COMPOSE["services"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    folder = Path("/etc/grafana/provisioning")
    sources, dashboards = (
        yaml.safe_load((ROOT / "deploy" / "grafana" / f"{name}.yaml").read_text("utf-8"))
        for name in ("datasources", "dashboards")
    )
    assert Path(mounts["./deploy/grafana/datasources.yaml"]).parent == folder / "datasources"
    assert Path(mounts["./deploy/grafana/dashboards.yaml"]).parent == folder / "dashboards"
    (source,) = sources["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = dashboards["providers"]
    dashboard = mounts["./docs/grafana.json"]
    assert provider["options"]["path"] == str(Path(dashboard).parent)
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard


FAKE_DOCKER = """#!/bin/sh
printf '%s\\n' "$*" >>calls
printenv ADMIN_TOKEN >token || true
"""


def run_documented(folder: Path, commands: str) -> list[list[str]]:
    """Run commands with a program that stands in for Docker; return the words of each of its calls."""
    docker = folder / "docker"
    docker.write_text(FAKE_DOCKER)
    docker.chmod(0o755)
    subprocess.run(["sh", "-ec", commands], cwd=folder, env={"PATH": f"{folder}:{os.environ['PATH']}"}, check=True)
    return [line.split() for line in (folder / "calls").read_text().splitlines()]


def documented_commands() -> list[str]:
    """Return the blocks of commands of the container's section of docs/operations.md."""
    section = (ROOT / "docs" / "operations.md").read_text("utf-8").split("## In a container")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_documented_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The documented commands for one container generate a token and set all that the server requires."""
    build, run = run_documented(tmp_path, documented_commands()[0])
    assert build == ["build", "-t", "graphql-api", "."]
    assert [word for word in run if "=" not in word and word != "-e"] == [
        *("run", "--read-only", "-p", "8000:8000", "ADMIN_TOKEN", "graphql-api")
    ]
    variables = dict(word.split("=", 1) for word in run if "=" in word)
    token = (tmp_path / "token").read_text()
    for name, value in {**parse_environment(FINAL), **variables, "ADMIN_TOKEN": token}.items():
        monkeypatch.setenv(name, value)
    Settings.load().require_secure_exposure([parse_environment(FINAL)["HOST"]])


def test_documented_composition(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The documented commands for two containers write a `.env` with all that Compose requires."""
    assert run_documented(tmp_path, documented_commands()[1]) == [["compose", "up", "--build"]]
    variables = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    assert list(variables) == SECRETS
    templates = COMPOSE["services"]["countries"]["environment"]
    values = {name: interpolate(value, variables) for name, value in templates.items()}
    for name, value in {**parse_environment(FINAL), **values}.items():
        monkeypatch.setenv(name, value)
    Settings.load().require_secure_exposure([parse_environment(FINAL)["HOST"]])


def test_documented_metrics(tmp_path: Path) -> None:
    """The documented commands for the metrics set the token that Prometheus sends."""
    assert run_documented(tmp_path, documented_commands()[2]) == [["compose", "--profile", "metrics", "up", "--build"]]
    assert (tmp_path / ".env").read_text().startswith(f"{COMPOSE['secrets']['metrics-token']['environment']}=")


class HealthHandler(BaseHTTPRequestHandler):
    """Responds to /healthz with `status`, else with 404."""

    status = 200

    def do_GET(self) -> None:
        """Respond without a body."""
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def run_health_check(port: int, python: Path | str = sys.executable, **variables: str) -> int:
    """Return the exit code of the health check; its environment has a proxy that is down."""
    result = subprocess.run(
        [python, *HEALTH_COMMAND[1:]],
        env={"PORT": f"{port}", "http_proxy": "http://127.0.0.1:1", **variables},
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return result.returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (404, 1), (503, 1)])
def test_health(monkeypatch: pytest.MonkeyPatch, status: int, code: int) -> None:
    """The health check succeeds only if the server on PORT responds with 200."""
    monkeypatch.setattr(HealthHandler, "status", status)
    with running_http_server(HealthHandler) as port:
        assert run_health_check(port) == code


@pytest.mark.parametrize(
    ("address", "host"),
    [
        *(("127.0.0.1", host) for host in ("", "127.0.0.1", "0.0.0.0", "localhost", "::")),  # noqa: S104 - as set
        ("127.0.0.2", "127.0.0.2"),
        *(pytest.param("::1", host, marks=NEEDS_IPV6) for host in ("::1", "[::1]", " ::1 ")),
    ],
)
def test_health_follows_host(address: str, host: str) -> None:
    """The health check connects where a server with the same HOST listens."""
    with running_http_server(HealthHandler, address) as port:
        assert run_health_check(port, HOST=host) == 0


def test_health_without_server() -> None:
    """The health check fails if no server listens."""
    assert run_health_check(free_port()) == 1


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the build stage in a folder, and return the folder that the final stage copies."""
    root = tmp_path_factory.mktemp("image")
    context = root / "context"
    subprocess.run(["git", "clone", "-q", ROOT, context], check=True)
    env = inherited_environment(**parse_environment(BUILD), PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    (root / "build").mkdir()
    for name, text in BUILD[1:]:
        if name == "COPY":
            source, _ = text.split()
            copy_files(context, source, root / "build")
        if name == "RUN":
            command = re.sub(r"(?<![\w/])/app\b", f"{root}/app", text)
            subprocess.run(["sh", "-ec", command], cwd=root / "build", env=env, check=True)
    return root / "app"


def copy_files(context: Path, source: str, target: Path) -> None:
    """Copy one file, or all that .dockerignore includes, as COPY does."""
    for path in (path for path in context.rglob("*") if path.is_file()):
        name = str(path.relative_to(context))
        if is_in_build_context(name) and source in (".", name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / name)


@pytest.mark.slow
def test_installed(app: Path) -> None:
    """The built folder has the package and its dependencies, compiled, and no installer."""
    (packages,) = app.glob("lib/python3.*/site-packages")
    assert (packages / "graphql_api" / "sources" / "bundled" / "LICENSES.md").is_file()
    assert [name for name in ("pip", "setuptools", "flit_core") if (packages / name).exists()] == []
    sources = set(packages.rglob("*.py"))
    compiled = {path.parent.parent / f"{path.name.split('.')[0]}.py" for path in packages.rglob("__pycache__/*.pyc")}
    assert sources - compiled == set()


def can_unshare_mounts() -> bool:
    """Return whether this process may unshare mounts; not every root may."""
    if shutil.which("unshare") is None:
        return False
    result = subprocess.run([*UNSHARE_COMMAND, "true"], stderr=subprocess.DEVNULL, check=False)
    return result.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(
    not can_unshare_mounts(),
    reason="run as root, with unshare (apt-get install util-linux), to make all disks read-only",
)
def test_served_from_a_read_only_disk(app: Path, mysql_family: MySQLFamilyServer, tmp_path: Path) -> None:
    """The image's command serves and refreshes a database's data from a read-only file system."""
    port = free_port()
    variables = {
        **parse_environment(FINAL),
        "PATH": f"{app}/bin:/usr/bin:/bin",
        "PORT": f"{port}",
        "DATABASE_URL": mysql_family.url(mysql_family.create_database()),
        "ADMIN_TOKEN": TOKEN,
        "PUBLIC_URL": "https://countries.example.org",
        **BUNDLED_SOURCES,
    }
    command = parse_command(FINAL, "ENTRYPOINT") + parse_command(FINAL, "CMD")
    isolate_command = [*UNSHARE_COMMAND, "sh", "-c", READ_ONLY_SCRIPT, "sh"]
    with running_process([*isolate_command, *command], tmp_path, variables) as server:
        server.wait_for_log(r"serves https://countries\.example\.org, listening at ")
        assert run_health_check(port, app / "bin" / "python") == 0
        assert run_refresh(port) == {"totalCountries": 250, "statements": 1}
        result = server.stop(signal.SIGTERM)
    assert (result.exit_code, result.stdout) == (0, "")
    levels = {json.loads(line)["level"] for line in result.stderr.splitlines()}
    assert levels == {"info"}
    assert run_health_check(port, app / "bin" / "python") == 1


def run_refresh(port: int) -> object:
    """Run a refresh over HTTP and return its report."""
    response = http_client.post(
        f"http://127.0.0.1:{port}/graphql",
        json={"query": "mutation { refreshCountries { totalCountries statements } }"},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    return response.json()["data"]["refreshCountries"]

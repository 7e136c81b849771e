"""The files in deploy/ are valid to the programs that read them, and name settings, commands and paths that exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from graphql_api.cli.commands import program
from graphql_api.server.uvicorn_server import GRACEFUL_SHUTDOWN_TIMEOUT
from graphql_api.settings import Settings
from tests.support.dockerfile import find_instructions, read_stages
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "graphql-api.service"
KUSTOMIZATION = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text("utf-8"))
MANIFESTS: dict[str, Any] = {
    manifest["kind"]: manifest
    for name in KUSTOMIZATION["resources"]
    for manifest in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text("utf-8"))
}
SERVER_POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
REFRESH_POD = MANIFESTS["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
SETTING_NAMES = {name.upper() for name in Settings.model_fields}
MAX_EXPOSURE = 15
"""Tenths of systemd's exposure level, which is 0 to 10."""


def test_all_manifests() -> None:
    """The kustomization names every manifest and the image of the pods."""
    files = {path.name for path in (DEPLOY / "kubernetes").iterdir()}
    assert set(KUSTOMIZATION["resources"]) == files - {"kustomization.yaml"}
    assert sorted(MANIFESTS) == ["ConfigMap", "CronJob", "Deployment", "PodDisruptionBudget", "Service"]
    assert [image["name"] for image in KUSTOMIZATION["images"]] == ["graphql-api"]
    for pod in (SERVER_POD, REFRESH_POD):
        assert [container["image"] for container in pod["containers"]] == ["graphql-api"]


@pytest.mark.parametrize("kind", sorted(MANIFESTS))
def test_manifest(kind: str) -> None:
    """Each manifest is valid, unknown fields included, by Kubernetes' own schema."""
    assert kubernetes_validate.validate(MANIFESTS[kind], kubernetes_validate.latest_version(), strict=True)


def test_invalid_manifest() -> None:
    """The schema refuses a misspelt field."""
    manifest = {**MANIFESTS["Service"], "sepc": {}}
    with pytest.raises(kubernetes_validate.ValidationError, match="sepc"):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration names settings only, and production accepts it together with the secret's files."""
    data = MANIFESTS["ConfigMap"]["data"]
    secrets = {"ADMIN_TOKEN": "0123456789abcdef", "DATABASE_URL": "mysql://user:password@db.example/countries"}
    for pod in (SERVER_POD, REFRESH_POD):
        (container,) = pod["containers"]
        assert [source["configMapRef"]["name"] for source in container["envFrom"]] == ["graphql-api"]
        keys = {variable["name"]: variable["valueFrom"]["secretKeyRef"] for variable in container["env"]}
        assert keys == {
            name: {"name": "graphql-api", "key": name.lower().replace("_", "-")}
            for name in ("ADMIN_TOKEN", "DATABASE_URL")
        }
    assert set(data) <= SETTING_NAMES
    for name, value in {**data, **secrets, "ENVIRONMENT": "production"}.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.refresh_interval, settings.stop_delay) == (0, 5)


@pytest.mark.parametrize("pod", [SERVER_POD, REFRESH_POD], ids=["server", "refresh"])
def test_pod_security(pod: dict[str, Any]) -> None:
    """Pods meet the restricted Pod Security Standard, and run as the image's user on a read-only root."""
    (user,) = find_instructions(read_stages()[-1], "USER")
    context = pod["securityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) == {"memory"}


def test_probes() -> None:
    """Probes request paths that exist on the image's port, and a pod has time to stop."""
    (container,) = SERVER_POD["containers"]
    assert [port["containerPort"] for port in container["ports"]] == [Settings().port]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    stop_delay = int(MANIFESTS["ConfigMap"]["data"]["STOP_DELAY"])
    assert SERVER_POD["terminationGracePeriodSeconds"] > stop_delay + GRACEFUL_SHUTDOWN_TIMEOUT


def test_selectors() -> None:
    """The service and the disruption budget select the servers, and not the pods that refresh."""
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert MANIFESTS[kind]["spec"]["selector"] == {"matchLabels": labels}
    refresh_labels = MANIFESTS["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert refresh_labels["app.kubernetes.io/component"] != labels["app.kubernetes.io/component"]


def test_refresh_command() -> None:
    """The cron job runs a command of the program with options that it has."""
    name, *options = REFRESH_POD["containers"][0]["args"]
    with program.make_context("graphql-api", [name, *options], resilient_parsing=True):
        command = program.commands[name]
        assert set(options) <= {option for parameter in command.params for option in parameter.opts}


def test_unit(tmp_path: Path) -> None:
    """The unit is valid to systemd, which finds little that it could harm."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("install systemd to verify the unit")
    program_path = Path(sys.executable).with_name("graphql-api")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/graphql-api/bin/graphql-api", str(program_path)), "utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager", str(unit)]
    rated = subprocess.run(command, check=False, capture_output=True, text=True)
    assert rated.returncode == 0, rated.stdout


def test_unit_settings() -> None:
    """The unit names settings that exist, a command, and more time to stop than the server needs."""
    text = UNIT.read_text("utf-8")
    names = re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)
    assert set(names) <= SETTING_NAMES
    (command,) = re.findall(r"^ExecStart=\S+ (\w+)$", text, re.MULTILINE)
    assert command in program.commands
    (timeout,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(timeout) > GRACEFUL_SHUTDOWN_TIMEOUT

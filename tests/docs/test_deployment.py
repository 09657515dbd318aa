"""What docs/deployment.md gives to copy, a unit, an image, a manifest, SQL, is what its readers will understand."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import yaml

from lineshaft import Lineshaft
from lineshaft.clock import SECOND
from lineshaft.config import Settings
from tests.docs.test_snippets import ROOT, Block, page_blocks

PAGE: Final = ROOT / "docs" / "deployment.md"
GRACE_SECONDS: Final = Settings().grace / SECOND
SUPERVISOR_SECONDS: Final = 10
INSTRUCTIONS: Final = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "STOPSIGNAL", "HEALTHCHECK", "CMD"}


def only(language: str, holding: str = "") -> Block:
    """Return the one block of the page in this language that holds a text."""
    [block] = [block for block in page_blocks(PAGE, language) if holding in block.code]
    return block


def unit() -> configparser.ConfigParser:
    """Return the systemd unit."""
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read_string(only("ini", "[Service]").code)
    return found


def manifest() -> Any:
    """Return the Kubernetes deployment."""
    return yaml.safe_load(only("yaml").code)


def instructions() -> dict[str, str]:
    """Return the Dockerfile's lines by their first words; of several alike the last."""
    text = only("dockerfile").code.replace("\\\n", " ")
    return dict(line.split(None, 1) for line in text.splitlines() if line.strip())  # type: ignore[misc]


def container() -> Any:
    """Return the pod's one container."""
    [one] = manifest()["spec"]["template"]["spec"]["containers"]
    return one


def shown_commands() -> list[list[str]]:
    """Return the lineshaft commands of unit, image and manifest."""
    of_unit = shlex.split(unit()["Service"]["ExecStart"])[1:]
    return [of_unit, json.loads(instructions()["CMD"])[1:], container()["args"][1:]]


@pytest.mark.parametrize("words", shown_commands(), ids=" ".join)
def test_commands_exist(words: list[str], tmp_path: Path) -> None:
    """What unit, image and manifest start is a command with its options."""
    command = [sys.executable, "-m", "lineshaft", *words, "--help"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_unit_is_understood(tmp_path: Path) -> None:
    """A systemd finds nothing wrong with the unit; the program is here another one, for the page's is not installed."""
    file = tmp_path / "shop-worker.service"
    program = unit()["Service"]["ExecStart"].split()[0]
    file.write_text(only("ini", "[Service]").code.replace(program, "/bin/true"))
    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    assert [line for line in run.stderr.splitlines() if file.name in line] == []


def test_unit_gives_enough_time() -> None:
    """The system kills a worker only when its supervisor would have done so."""
    assert float(unit()["Service"]["TimeoutStopSec"]) >= GRACE_SECONDS + SUPERVISOR_SECONDS


def test_image_is_well_formed() -> None:
    """Each line is an instruction, the health check is Python, and it asks the port that the command opens."""
    lines = instructions()
    assert set(lines) <= INSTRUCTIONS
    assert next(iter(lines)) == "FROM"
    words = json.loads(lines["HEALTHCHECK"].partition("CMD")[2])
    ast.parse(words[-1])
    command = json.loads(lines["CMD"])
    assert f":{command[command.index('--health-port') + 1]}/livez" in words[-1]


def test_manifest_agrees_with_itself() -> None:
    """Labels select the pods, probes ask the port that the command opens, and the grace fits the termination period."""
    spec = manifest()["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    [port] = container()["ports"]
    args = container()["args"]
    assert args[args.index("--health-port") + 1] == str(port["containerPort"])
    probes = [container()[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")]
    assert [probe["port"] for probe in probes] == [port["name"]] * 2
    assert [probe["path"] for probe in probes] == ["/livez", "/readyz"]
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= GRACE_SECONDS + 5


def test_pooler_settings_are_read() -> None:
    """The settings for PgBouncer are sections with keys."""
    settings = configparser.ConfigParser()
    settings.read_string(only("ini", "[pgbouncer]").code.replace("; pgbouncer.ini", "# pgbouncer.ini"))
    assert settings["pgbouncer"]["pool_mode"] == "transaction"


def test_roles_can_enqueue_and_look(postgres_url: str) -> None:
    """The page's grants run on PostgreSQL, and are enough for a role that enqueues, looks and cancels."""
    app = Lineshaft(postgres_url)
    app.task(name="one")(lambda: 1)
    app.migrate()
    schema = re.search(r"schema=(\w+)", postgres_url)
    assert schema
    plain = re.sub(r"[?&]schema=\w+", "", postgres_url)
    text = only("sql", "create role").code
    with psycopg.connect(plain) as connection:
        database = connection.info.dbname
        text = text.replace("on database shop", f'on database "{database}"').replace(
            "schema lineshaft", f"schema {schema[1]}"
        )
        connection.execute(text)
        for line in only("sql", "alter role").code.splitlines():
            connection.execute(line)
        connection.execute("set local role shop_web")
        job = app.enqueue_many([app.find("one").new()], connection=connection)[0]
        assert job.state == "queued"
        connection.rollback()  # roles are the server's, which other tests use too
    app.close()

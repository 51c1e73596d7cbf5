"""README.md is true: every setting, command, call and script in it exists, and its commands run as they stand.

The picture in it is drawn anew by:  .venv/bin/python -m tests.test_readme
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast, get_args

import click
import pytest
from click.testing import CliRunner
from PIL import Image, ImageChops
from pydantic import BaseModel

from bridge import VERSION, cli, dialects
from bridge.access.keys import digest
from bridge.config import Config, load
from bridge.dialects import Desk
from bridge.dialects.cloudlinker.replies import STATUS
from bridge.model import Options
from bridge.prepare import labels
from devices import languages, transports
from devices.profiles import PROFILES
from tests.serving import ROOT, Serve, free_port

README = (ROOT / "README.md").read_text("utf-8")
PICTURE = ROOT / "tests/golden/first-label.png"
LABEL = ROOT / "tests/golden/shipping-label.pdf"
DESK = cast(Desk, None)  # enough to ask for the routes


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def between(start: str, end: str) -> str:
    assert README.count(start) == 1, start
    return README.partition(start)[2].partition(end)[0]


def rows(heading: str) -> dict[str, list[str]]:
    """The tables under a heading: what stands in the first column, without backticks -> the other columns."""
    section = re.search(rf"^#+ {re.escape(heading)}.*?\n(.*?)(?=^#+ |\Z)", README, re.MULTILINE | re.DOTALL)
    assert section is not None, f"README has no section {heading!r}"
    lines = [line.strip("|").split(" | ") for line in re.findall(r"^\| .*\|$", section[1], re.MULTILINE)]
    return {line[0].strip().strip("`"): [cell.strip() for cell in line[1:]] for line in lines}


# ---- settings ---------------------------------------------------------------------------------------------------


def sections() -> dict[str, type[BaseModel]]:
    """Heading -> the model of that part of the configuration."""
    found = {}
    for name, field in Config.model_fields.items():
        inner = get_args(field.annotation)
        model = inner[0] if inner else field.annotation
        found[f"`[[{name}]]`" if inner else f"`[{name}]`"] = cast("type[BaseModel]", model)
    return found


@pytest.mark.parametrize("heading", sections())
def test_every_setting_stands_in_the_readme_with_its_default(heading: str) -> None:
    documented = {key: cells[0] for key, cells in rows(heading).items() if key != "key"}
    fields = sections()[heading].model_fields
    assert set(documented) == set(fields)
    for key, field in fields.items():
        assert documented[key] == default(field.is_required(), field.default), key


def default(required: bool, value: Any) -> str:
    if required:
        return "required"
    return "none" if value is None else f"`{json.dumps(value)}`"


def test_every_configuration_in_the_readme_is_one(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        assert load(path).printers


def test_every_language_of_a_printer_stands_in_the_readme() -> None:
    from bridge.deliver.language import KNOWN_LANGUAGES

    assert set(re.findall(r"`(\w+)`", rows("`[[printers]]`")["language"][1])) == set(KNOWN_LANGUAGES)


# ---- commands ---------------------------------------------------------------------------------------------------


def commands(group: click.Group = cli.main, before: str = "") -> dict[str, click.Command]:
    """Every command as it is typed. A group that lists without a command of its own stands for its `list`."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        typed = f"{before}{name}"
        if isinstance(command, click.Group):
            found |= commands(command, f"{typed} ")
        else:
            found[typed.removesuffix(" list")] = command
    return found


def options(command: click.Command) -> set[str]:
    """The long names of its options."""
    names = [name for p in command.params if isinstance(p, click.Option) for name in (*p.opts, *p.secondary_opts)]
    return {name for name in names if name.startswith("--")}


def documented_options() -> dict[str, str]:
    """Each option in the table, also when a row has several -> the commands it belongs to."""
    table = rows("Every command")
    return {name: cells[0] for row, cells in table.items() for name in re.findall(r"--[\w-]+", row) if row[0] == "-"}


def test_every_command_stands_in_the_readme_and_no_other() -> None:
    typed = [row.removeprefix("print-bridge ") for row in rows("Every command") if row.startswith("print-bridge ")]
    # The longest name that fits: `jobs show` is not a line about `jobs`.
    known = sorted(commands(), key=len, reverse=True)
    named = [next((name for name in known if f"{row} ".startswith(f"{name} ")), row) for row in typed]
    assert sorted(set(named)) == sorted(known)


def test_every_option_stands_in_the_readme_with_its_commands_and_no_other() -> None:
    table = documented_options()
    for name, command in commands().items():
        for option in options(command):
            assert option in table, f"{name} {option}"
            assert table[option] == "all commands" or f"`{name}`" in table[option], f"{name} {option}"
    for option, of in table.items():
        for name in re.findall("`([^`]+)`", of):
            assert name == "print-bridge" or option in options(commands()[name]), f"{name} has no {option}"
    assert set(table) == {"--version", "--help"}.union(*(options(command) for command in commands().values()))


def test_every_exit_code_stands_in_the_readme() -> None:
    codes = {row for row in rows("Every command") if row.isdigit()}
    known = (0, cli.FAILED, cli.WRONG, cli.UNCONFIRMED, cli.NO_SERVE, cli.INTERRUPTED)
    assert codes == {str(code) for code in known}


def test_the_version_is_the_same_everywhere() -> None:
    said = CliRunner().invoke(cli.main, ["--version"]).output.split()[-1]
    assert said == VERSION == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    try:
        assert version("print-bridge") == VERSION
    except PackageNotFoundError:
        pytest.skip("print-bridge is not installed")


def test_every_script_it_names_exists() -> None:
    named = set(re.findall(r"\.ci/[\w-]+", README))
    assert {".ci/first-label", ".ci/test", ".ci/run"} <= named
    assert [script for script in named if not (ROOT / script).is_file()] == []


def test_every_file_it_names_exists() -> None:
    named = set(re.findall(r"\b(?:devices|bridge|tests)/[\w/.-]*\w", README)) - {"devices/list", "devices/create"}
    assert [path for path in named if "/" in path and not (ROOT / path).exists() and "." in path] == []


# ---- the APIs ---------------------------------------------------------------------------------------------------


def test_every_call_of_v1_stands_in_the_readme_with_its_scope() -> None:
    from bridge.dialects.v1.table import ROUTES

    words = {"<printer>": "PRINTER", "<job_id>": "ID", "<int:number>": "N", "<key_id>": "KEY",
             "<webhook_id>": "WEBHOOK", "<delivery_id>": "DELIVERY", "<organization_id>": "ORG", "<user_id>": "USER",
             "<card_id>": "CARD", "<group_id>": "GROUP"}  # fmt: skip
    calls = {
        f"{route.method} /v1{re.sub('<.*?>', lambda found: words[found[0]], route.path)}": route.scope
        for route in ROUTES
    }
    documented = {
        row.partition("?")[0]: cells[0].strip("`").replace("no key", "none")
        for row, cells in rows("Our own API, `/v1`").items() if " /v1" in row
    }  # fmt: skip
    assert documented == calls


def test_every_call_of_cloudlinker_stands_in_the_readme() -> None:
    from bridge.dialects.cloudlinker import _endpoints, _public_endpoints

    table = " ".join(rows("The Cloudlinker API"))
    paths = {line.split()[1].removeprefix("/") for line, *_ in [*_endpoints(DESK), *_public_endpoints(DESK)]}
    assert [path for path in paths if path not in table] == []


def test_every_option_of_a_job_stands_in_the_readme() -> None:
    table = rows("The Cloudlinker API")
    assert [name for name in Options.__slots__ if name not in table] == []


def test_every_state_stands_in_the_readme_with_its_number() -> None:
    table = rows("What happens to a job")
    for state, number in STATUS.items():
        assert table[state.value][0].startswith(str(number)), state


def test_every_template_stands_in_the_readme_with_its_fields() -> None:
    table = rows("Receipts")
    found = [(name, labels.load(name)) for name in labels.names()]
    found += [(name, labels.load_receipt(name)) for name in labels.receipt_names()]
    for name, template in found:
        [row] = [cells for first, cells in table.items() if re.match(rf"{name}\b", first)]
        assert set(re.findall(r"`([a-z_]+)`", row[0])) == {field.name for field in template.fields}, name
        needed = {field.name for field in template.fields if field.required}
        assert set(re.findall(r"\*\*`([a-z_]+)`\*\*", row[0])) == needed, name


def test_every_profile_of_receipt_printers_stands_in_the_readme_with_its_head() -> None:
    said = {
        name: (int(cells[0]), float(cells[1]))
        for first, cells in rows("Receipts").items() if len(cells) == 3
        for name in re.findall(r"[a-z0-9-]+", first) if name in PROFILES
    }  # fmt: skip
    assert said.keys() == PROFILES.keys()
    for name, (dpi, width_mm) in said.items():
        assert dpi == PROFILES[name].dpi
        assert PROFILES[name].dots - 8 <= width_mm / 25.4 * dpi <= PROFILES[name].dots, name


def test_every_link_within_it_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    places = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", README) if link not in places] == []


# ---- the recipes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder, line, names",
    [
        ("devices/languages", "LANGUAGE: Language", languages.names()),
        ("devices/transports", "TRANSPORT: Transport", transports.names()),
        ("bridge/dialects", "DIALECT: Dialect", dialects.names()),
    ],
)
def test_a_recipe_is_one_file_with_one_line(folder: str, line: str, names: tuple[str, ...]) -> None:
    recipe = between("## Three recipes", "\n## ")
    assert f"`{folder}/`" in recipe and f"{line} = " in recipe
    for name in names:
        file, package = ROOT / folder / f"{name}.py", ROOT / folder / name / "__init__.py"
        source = (file if file.exists() else package).read_text()
        assert len(re.findall(rf"^{line} = \w+\(.*\)$", source, re.MULTILINE)) == 1, name


# ---- the commands to type ---------------------------------------------------------------------------------------


def test_the_json_in_the_commands_is_json() -> None:
    bodies = [body for block in blocks("bash") for body in re.findall(r"<<JSON.*?\n(.*?)^JSON$", block, re.S | re.M)]
    bodies += [body.replace('\\"', '"') for body in re.findall(r""" -d ['"](\{.*?\})['"]$""", README, re.MULTILINE)]
    assert len(bodies) >= 4
    for body in bodies:
        json.loads(re.sub(r"\$\(.*?\)|\$\w+", "x", body))


PATIENT = """
set -euo pipefail
sleep() {
    command sleep "$1"
    for _ in $(seq 300); do
        curl -sS -u "$ORG:$KEY" "$BRIDGE/v1/jobs?state=queued,preparing,sending" | grep -q '"total":0' && return
        command sleep 0.1
    done
}
"""
"""Before the commands: where README waits two seconds, a busy machine may need more."""


def test_the_five_minutes_are_true_to_the_letter(tmp_path: Path) -> None:
    commands = "".join(blocks("bash", between('to "end of the tested commands"', "<!-- end of the tested commands")))
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "build").mkdir()
    with Serve(tmp_path / "build/demo") as bridge:
        script = commands.replace(":8910", f":{bridge.port}").replace("8000", str(free_port()))
        done = subprocess.run(
            ["bash", "-c", PATIENT + script], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "BRIDGE": f"http://localhost:{bridge.port}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        jobs = bridge.api("jobs/list")["data"]
    assert [job["status"] for job in jobs] == [4, 4], done.stdout + done.stderr
    assert '"status":4' in done.stdout and '"timeline"' in done.stdout
    assert "000001-1.png" in done.stdout and "000002-1.png" in done.stdout
    assert differing(image(tmp_path / "build/demo/label.png"), image(PICTURE)) < 0.005


def test_the_hash_of_a_key_is_made_as_it_says() -> None:
    (block,) = blocks("bash", between("<!-- tested: key_sha256 -->", "```toml"))
    done = subprocess.run(["bash", "-c", block], capture_output=True, text=True, check=True)
    key, hashed = done.stdout.split()[:2]
    assert hashed == digest(key) == hashlib.sha256(key.encode()).hexdigest()


# ---- the picture ------------------------------------------------------------------------------------------------


def first_label(folder: Path) -> bytes:
    """What `.ci/first-label` prints, as the virtual printer shows it."""
    subprocess.run(
        [sys.executable, "-m", "bridge", "print", str(LABEL), "--to", "virtual", "--data", str(folder)],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    return (folder / "virtual/virtual/000001-1.png").read_bytes()


def image(source: Path | bytes) -> Image.Image:
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source).convert("1")


def differing(one: Image.Image, other: Image.Image) -> float:
    """The share of dots that differ; 1 for pictures of different size."""
    if one.size != other.size:
        return 1
    return ImageChops.logical_xor(one, other).histogram()[255] / (one.width * one.height)


def test_the_picture_is_what_comes_out(tmp_path: Path) -> None:
    assert PICTURE.relative_to(ROOT).as_posix() in README
    # Another version of the engine may draw an edge one dot off.
    share = differing(image(first_label(tmp_path)), image(PICTURE))
    assert share < 0.005, "the label looks different now; run: .venv/bin/python -m tests.test_readme"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_bytes(first_label(Path(folder)))
    print(PICTURE)

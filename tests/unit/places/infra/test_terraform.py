"""The wrapper around Terraform, with a stand-in program where the answer is what matters."""

from pathlib import Path

import pytest

from filon.errors import FilonError
from filon.events import Event
from filon.places.emr.settings import EmrSettings
from filon.places.infra.terraform import Plan, Terraform
from filon.places.infra.writing import write_infrastructure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_infrastructure(tmp_path / "infrastructure", "mineria", EmrSettings(bucket="s3://acme/mineria"))
    return tmp_path / "infrastructure"


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: str = "1.11.4") -> None:
    """A program named terraform that says its version and else does as the script says; `$2` is the command."""
    program = tmp_path / "bin" / "terraform"
    program.parent.mkdir()
    said = f'if [ "$1" = version ]; then echo \'{{"terraform_version": "{version}"}}\'; exit 0; fi'
    program.write_text(f"#!/bin/sh\n{said}\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_without_terraform_the_error_names_what_to_do(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FilonError) as caught:
        Terraform(folder)
    assert caught.value.code == "infra.terraform-missing"


def test_an_old_terraform_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "exit 0", version="1.2.9")
    with pytest.raises(FilonError) as caught:
        Terraform(folder)
    assert caught.value.code == "infra.terraform-old"


def test_a_folder_that_is_not_ours_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, 'touch "$0.ran"')
    (tmp_path / "theirs").mkdir()
    with pytest.raises(FilonError) as caught:
        Terraform(tmp_path / "theirs")
    assert caught.value.code == "infra.not-ours"
    assert not (tmp_path / "bin" / "terraform.ran").exists()


FAILURES = {
    "infra.provider-unreachable": (
        "init",
        'echo "Error: Failed to query available provider packages: could not connect to registry.terraform.io"; exit 1',
    ),
    "infra.terraform-failed": ("init", 'echo "Error: Unsupported argument"; exit 1'),
    "infra.plan-failed": (
        "plan",
        """echo '{"@message":"Error: x","type":"diagnostic","diagnostic":{"severity":"error","summary":"No valid credential sources",'\\
'"detail":"no valid credential found"}}'; exit 1""",
    ),
    "infra.locked": (
        "plan",
        """echo '{"@message":"Error","type":"diagnostic","diagnostic":{"severity":"error","summary":"Error acquiring the state lock"}}'
exit 1""",
    ),
}


@pytest.mark.parametrize("code", FAILURES)
def test_failures_of_terraform_are_coded(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    command, script = FAILURES[code]
    stand_in(tmp_path, monkeypatch, script)
    terraform = Terraform(folder)
    with pytest.raises(FilonError) as caught:
        terraform.init() if command == "init" else terraform.plan()
    assert caught.value.code == code
    assert "x509" not in caught.value.why


def test_no_silence_while_terraform_says_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "exec sleep 1.5")
    monkeypatch.setattr("filon.places.infra.terraform.SILENCE_S", 0.3)
    heard: list[Event] = []
    Terraform(folder, heard.append).init()
    assert any("still at it" in one.text for one in heard)


def test_ctrl_c_lets_terraform_end_in_peace_and_leaves_no_plan(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, 'echo \'{"@message": "a: Creating..."}\'; sleep 0.3; touch "$0.ended"')
    heard: list[Event] = []

    def pressed(event: Event) -> None:
        heard.append(event)
        if "Creating" in event.text:
            raise KeyboardInterrupt

    (folder / "filon.tfplan").write_text("a plan may hold what nobody else should read")
    with pytest.raises(KeyboardInterrupt):
        Terraform(folder, pressed).apply(Plan(add=1, change=0, remove=1, changes=(("a", "delete/create"),), text=""))
    assert (tmp_path / "bin" / "terraform.ended").exists()
    assert not (folder / "filon.tfplan").exists()
    assert heard[0].total == 2, "what is replaced is deleted and created"

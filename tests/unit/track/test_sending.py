"""Records in a real MLflow store (SQLite): complete, once, and as the folder says, however often and however brokenly they were sent."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.package.conftest import seal
from tests.unit.track.conftest import TRIALS, RunFolder, assert_mlflow_answers_as_the_bundle

from filon.errors import SetupError
from filon.events import Event, silence
from filon.track import send
from filon.track.client import where
from filon.track.state import read_state

NewRun = Callable[..., RunFolder]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # a database takes seconds; MLflow and alembic warn about themselves


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making one takes seconds, copying it none."""
    from filon.track.client import open_client

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    open_client(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal(tmp_path_factory.mktemp("sealed"), "gbt").path


@pytest.fixture
def run(new_run: NewRun, empty_store: Path, tmp_path: Path) -> RunFolder:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return new_run()


def client_of(run: RunFolder) -> Any:
    from mlflow import MlflowClient

    uri = where(run.manifest["recipe"]["track"]["uri"], Path(run.manifest["base"]))
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_of(client: Any, name: str = "bank-deposit") -> list[Any]:
    experiment = client.get_experiment_by_name(name)
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def assert_complete(client: Any, trials: int) -> None:
    """One parent, one child per trial, each with its parameters, metrics and curve."""
    runs = {run.data.tags["filon.trial"]: run for run in runs_of(client)}
    assert len(runs) == len(runs_of(client)) == trials + 1
    parent = runs.pop("0")
    assert parent.info.status == "FINISHED"
    assert {"accuracy": 0.9, "auc": 0.8, "precision": 0.7, "recall": 0.6, "f1": 0.65}.items() <= parent.data.metrics.items()
    for number, child in runs.items():
        written = TRIALS[int(number) - 1]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.params["max_depth"] == str(written["settings"]["max_depth"])
        assert child.info.status == ("FAILED" if written["state"] == "failed" else "FINISHED")
        history = client.get_metric_history(child.info.run_id, "curve_valid_aucpr")
        assert [point.step for point in history] == list(range(len(written["curve"])))


def test_a_run_is_sent_whole(run: RunFolder, bundle: Path) -> None:
    run.manifest["recipe"]["track"] |= {"tags": {"team": "mines"}}
    run.add_trials(1, 2, 3, 4, 5)
    run.end(bundle=bundle)
    sent = send(run.path)
    client = client_of(run)
    assert_complete(client, trials=5)
    parent = client.get_run(sent.mlflow_run_id)
    assert parent.data.tags["team"] == "mines"
    assert parent.data.tags["filon.fold.train.digest"] == "00ff00ff00ff00ff"
    assert [one.dataset.digest for one in parent.inputs.dataset_inputs] == ["00ff00ff00ff00ff"]
    names = {one.path for one in client.list_artifacts(sent.mlflow_run_id)}
    assert {"manifest.json", "trials.jsonl", "metrics", "report", "bundle"} <= names
    (version,) = client.search_model_versions("name = 'bank-deposit'")
    assert f"bank-deposit/{version.version}" == sent.model == "bank-deposit/1"
    assert version.run_id == sent.mlflow_run_id
    assert read_state(run.path)["state"] == "sent"


def test_artifacts_lie_beside_the_database_wherever_the_command_is_run(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run.end()
    send(run.path)
    assert list((tmp_path / "mlruns" / "bank-deposit").glob("*/artifacts/report/report.html"))
    assert not list(elsewhere.iterdir())


def test_sent_again_nothing_is_doubled(run: RunFolder, bundle: Path) -> None:
    run.add_trials(1, 2, 3)
    run.end(bundle=bundle)
    first = send(run.path)
    assert send(run.path) == first
    client = client_of(run)
    assert_complete(client, trials=3)
    assert len(client.search_model_versions("name = 'bank-deposit'")) == 1
    points = client.get_metric_history(first.mlflow_run_id, "auc")
    assert len(points) == 1


def test_what_a_broken_sender_left_is_completed(run: RunFolder, bundle: Path) -> None:
    run.add_trials(1, 2, 3, 4)
    run.end(bundle=bundle)
    for word in ("trial 1", "trial 3", "file 2", "the bundle", "registering"):

        def break_at(event: Event, word: str = word) -> None:
            if event.text.startswith(word):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            send(run.path, break_at)
    send(run.path)
    assert_complete(client_of(run), trials=4)
    assert len(client_of(run).search_model_versions("name = 'bank-deposit'")) == 1


def test_a_sender_broken_between_making_a_run_and_filling_it_makes_no_second(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    from filon.track.sending import Sender

    run.add_trials(1, 2)
    run.end()
    calls = Counter[str]()

    def stop(*_: Any, **__: Any) -> None:
        calls["log"] += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "_log", stop)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                send(run.path)
    assert calls["log"] == 3
    send(run.path)
    assert_complete(client_of(run), trials=2)


def test_a_run_sent_while_it_goes_on_is_updated_when_it_ends(run: RunFolder) -> None:
    run.add_trials(1)
    lock = (run.path / ".lock").open("w")
    import fcntl

    fcntl.flock(lock, fcntl.LOCK_EX)
    sent = send(run.path)
    assert client_of(run).get_run(sent.mlflow_run_id).info.status == "RUNNING"
    lock.close()
    run.add_trials(2)
    run.end()
    assert send(run.path).mlflow_run_id == sent.mlflow_run_id
    assert_complete(client_of(run), trials=2)


def test_a_run_whose_process_was_killed_is_told_as_killed(run: RunFolder) -> None:
    run.add_trials(1)
    sent = send(run.path)
    assert client_of(run).get_run(sent.mlflow_run_id).info.status == "KILLED"


def test_a_bundle_sealed_anew_is_a_new_version(run: RunFolder, bundle: Path, tmp_path: Path) -> None:
    run.end(bundle=bundle)
    assert send(run.path).model == "bank-deposit/1"
    other = seal(tmp_path / "other", "logistic_regression").path
    shutil.rmtree(run.path / "bundle")
    run.end(bundle=other)
    assert send(run.path).model == "bank-deposit/2"
    assert send(run.path).model == "bank-deposit/2"


def test_no_model_is_registered_when_the_recipe_says_no(run: RunFolder, bundle: Path) -> None:
    run.manifest["recipe"]["track"]["register_model"] = False
    run.end(bundle=bundle)
    assert send(run.path).model == ""
    assert not client_of(run).search_registered_models()


def test_a_deleted_experiment_is_an_error_with_its_way_back(run: RunFolder) -> None:
    run.end()
    send(run.path)
    client = client_of(run)
    client.delete_experiment(client.get_experiment_by_name("bank-deposit").experiment_id)
    with pytest.raises(SetupError) as caught:
        send(run.path)
    assert caught.value.code == "track.experiment-deleted"
    assert "mlflow experiments restore" in caught.value.fix


def test_a_server_that_is_away_is_told_and_the_records_wait(new_run: NewRun) -> None:
    run = new_run("http://127.0.0.1:9")  # the discard port: nobody listens
    run.add_trials(1)
    run.end()
    heard: list[str] = []
    with pytest.raises(SetupError) as caught:
        send(run.path, lambda event: heard.append(event.text))
    assert caught.value.code == "track.server-away"
    assert caught.value.exit_code == 4
    assert read_state(run.path)["state"] == "waiting"
    assert read_state(run.path)["error"]["code"] == "track.server-away"


def test_a_project_that_was_renamed_gets_no_second_database_at_its_old_place(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run()
    run.manifest["base"] = str(tmp_path / "before")
    run.end()
    with pytest.raises(SetupError) as caught:
        send(run.path)
    assert caught.value.code == "track.store-unusable"
    assert "--set track.uri" in caught.value.fix
    assert not (tmp_path / "before").exists()


def test_a_database_that_cannot_be_made_is_told(new_run: NewRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = new_run(f"sqlite:///{tmp_path}/file/mlflow.db")
    run.end()
    with pytest.raises(SetupError) as caught:
        send(run.path, silence)
    assert caught.value.code == "track.store-unusable"


def test_the_registered_model_loads_and_predicts(run: RunFolder, bundle: Path, tmp_path: Path) -> None:
    run.end(bundle=bundle)
    sent = send(run.path)
    uri = where("sqlite:///mlflow.db", Path(run.manifest["base"]))
    assert_mlflow_answers_as_the_bundle(uri, f"models:/{sent.model}", bundle, tmp_path)

"""Records of a run to MLflow. The run folder is the outbox: nothing here is needed for training to go on."""

from filon.track.following import WHY_ALIAS, follow, send, start, waiting
from filon.track.registry import Registry, Version, of_run
from filon.track.settings import TrackSettings
from filon.track.ui import open_ui

__all__ = ["WHY_ALIAS", "Registry", "TrackSettings", "Version", "follow", "of_run", "open_ui", "send", "start", "waiting"]

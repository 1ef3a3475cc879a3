"""Records of a run to MLflow. The run folder is the outbox: nothing here is needed for training to go on."""

from filon.track.following import follow, send, start, waiting
from filon.track.settings import TrackSettings
from filon.track.ui import open_ui

__all__ = ["TrackSettings", "follow", "open_ui", "send", "start", "waiting"]

"""Records of a run to MLflow. The run folder is the outbox: nothing here is needed for training to go on."""

from filon.track.settings import TrackSettings

__all__ = ["TrackSettings"]

"""States of a job as EMR tells them now."""

from __future__ import annotations

from filon.errors import PlaceError
from filon.places.base import Handle
from filon.places.emr.follow import look
from filon.places.emr.place import emr_of


def states(handle: Handle) -> dict[str, str]:
    """One row: run, verb, states, reason, cluster, step, out. A job that EMR has forgotten keeps the state last seen."""
    facts = handle.facts
    names = {"cluster_is": "application", "step_is": "job run"} if facts.get("serverless") else {}
    row = {**names, "run": handle.id, "verb": handle.job.verb, "cluster": facts["cluster"], "step": facts["step"], "out": handle.out}
    try:
        seen = look(emr_of(handle).aws, handle)
    except PlaceError as exc:
        if exc.code != "places.request-refused":
            raise
        return {**row, "step_state": handle.state.upper(), "cluster_state": "FORGOTTEN", "reason": exc.why}
    return {**row, "step_state": seen.step, "cluster_state": seen.cluster, "reason": seen.reason}

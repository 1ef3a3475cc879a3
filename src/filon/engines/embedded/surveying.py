"""One pass over live rows, counted as they are scored."""

from dataclasses import replace

from filon.engines.embedded.captured import CapturedTable
from filon.engines.embedded.folds import EmbeddedFold
from filon.engines.embedded.pulse import Pulse
from filon.engines.embedded.scoring import SCORE_ROWS, ScoredTable, Streamed
from filon.engines.survey import Survey, Surveyor, SurveyPlan, indexed
from filon.events import Listen


def survey(scored: ScoredTable, plan: SurveyPlan, labels: Streamed | None, listen: Listen) -> Survey:
    """Cells of the features, scores and tallies by period; labels are looked up by the hash of what names a row."""
    index = None
    if labels is not None:
        label = labels.source.names("label")[0]
        index = indexed(labels.batches(tuple(dict.fromkeys((*plan.named, label))), SCORE_ROWS), plan, label)
    if isinstance(scored.rows, CapturedTable):
        scored = replace(scored, threads=1)  # the cores are busy parsing: more threads would only wait for each other
    surveyor = Surveyor(plan, index)
    pulse = Pulse(listen, "watch", "scored and counted", scored.rows.rows if isinstance(scored.rows, EmbeddedFold) else 0)
    for block in scored.blocks(plan.columns):
        pulse(len(block.label))
        surveyor.add(block.x, block.probability, scored.decide(block.probability), block.label, block.batch)
    return surveyor.result()

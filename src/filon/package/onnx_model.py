"""An ensemble as ONNX, written by hand: encoded features in, probability by class and class number out.

The graph repeats XGBoost to the bit: `<` on float32, the base score first, then the trees in order, summed in float32. That order
is what ONNX Runtime follows on one thread (`session`), so even a forest of hundreds of trees agrees with XGBoost to the last bit.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from filon.errors import BundleError
from filon.package.onnx_trees import table
from filon.rows.encode import Encoding
from filon.trees import Ensemble, LinearDesign, linear, ubjson

if TYPE_CHECKING:
    import onnx
    import onnxruntime

OPSET = 18
ML_OPSET = 3
"""TreeEnsembleRegressor with float attributes: every ONNX Runtime since 1.8 reads it, where TreeEnsemble (ml opset 5) needs 1.20."""

IR_VERSION = 8
MOST_NODES = 16_000_000
"""A protobuf file ends at 2 GiB, and a node takes about 50 bytes: beyond this there is no ONNX door."""


def to_onnx(ensemble: Ensemble, encoding: Encoding, threshold: float | None = None, name: str = "filon") -> bytes:
    """The ensemble as an ONNX model.

    Parameters
    ----------
    threshold : for two classes, the probability of the second from which it is answered (0.5 when None)

    Returns
    -------
    bytes of a model with input `features` (rows, features) float32, NaN for missing, as `rows.encode.encode` makes them, and
    outputs `probability` (rows, classes) float32 and `label` (rows,) int64

    Raises
    ------
    BundleError : `package.onnx-too-large` when a protobuf file cannot hold the trees
    """
    from onnx import TensorProto, helper

    parts = _Graph()
    if ensemble.form == "trees":
        _trees(parts, ensemble)
    else:
        _linear(parts, ensemble)
    _link(parts, ensemble)
    _label(parts, ensemble, 0.5 if threshold is None else threshold)
    graph = helper.make_graph(
        parts.nodes,
        name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", ensemble.features])],
        [
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["rows", len(ensemble.classes)]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"]),
        ],
        initializer=parts.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="filon")
    helper.set_model_props(model, _facts(ensemble, encoding, threshold))
    written: bytes = model.SerializeToString()
    return written


def session(model: bytes | str) -> "onnxruntime.InferenceSession":
    """A session that sums trees in their order: one thread, so that answers do not depend on the number of cores.

    Parameters
    ----------
    model : bytes, or the path of a file
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _facts(ensemble: Ensemble, encoding: Encoding, threshold: float | None) -> dict[str, str]:
    features = [{"name": item.name, "kind": item.kind, "categories": list(item.categories)} for item in encoding.features]
    facts = {"classes": list(ensemble.classes), "features": features, "threshold": threshold, "family": ensemble.family}
    return {"filon": json.dumps(facts, ensure_ascii=False)}


class _Graph:
    """Nodes and constants as they are added; each node gives the name of its one output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: object, kind: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output


def _link(graph: _Graph, ensemble: Ensemble) -> None:
    """Margins to probabilities as `trees.scoring.probabilities` does; a margin of two classes is of the second."""
    classes = len(ensemble.classes)
    if ensemble.link == "softmax":
        graph.add("Softmax", ["margin"], "probability", axis=1)
        return
    if classes > 2:
        _normalised_shares(graph, classes)
        return
    if ensemble.link == "logistic":
        positive = graph.add("Sigmoid", ["margin"], "positive")
    else:
        positive = graph.add("Clip", ["margin", graph.constant("zero", 0, np.float32), graph.constant("one", 1, np.float32)], "positive")
    negative = graph.add("Sub", [graph.constant("unit", 1, np.float32), positive], "negative")
    graph.add("Concat", [negative, positive], "probability", axis=1)


def _normalised_shares(graph: _Graph, classes: int) -> None:
    zero = graph.constant("zero", 0, np.float32)
    shares = graph.add("Max", ["margin", zero], "shares")
    total = graph.add("ReduceSum", [shares, graph.constant("last", [1], np.int64)], "total", keepdims=1)
    some = graph.add("Greater", [total, zero], "some")
    safe = graph.add("Where", [some, total, graph.constant("one", 1, np.float32)], "safe")
    divided = graph.add("Div", [shares, safe], "divided")
    graph.add("Where", [some, divided, graph.constant("even", 1 / classes, np.float32)], "probability")


def _label(graph: _Graph, ensemble: Ensemble, threshold: float) -> None:
    if len(ensemble.classes) > 2:
        graph.add("ArgMax", ["probability"], "label", axis=1, keepdims=0)
        return
    from onnx import TensorProto

    flat = graph.add("Squeeze", ["positive", graph.constant("second", [1], np.int64)], "flat")
    reached = graph.add("GreaterOrEqual", [flat, graph.constant("threshold", threshold, np.float32)], "reached")
    graph.add("Cast", [reached], "label", to=TensorProto.INT64)


def _trees(graph: _Graph, ensemble: Ensemble) -> None:
    from onnx import helper

    learner = ubjson.read(ensemble.model)["learner"]
    model = learner["gradient_booster"]["model"]
    base = _base_margins(ensemble, learner)
    found = table(model["trees"], [int(output) for output in model["tree_info"]], base)
    if len(found.node) > MOST_NODES:
        why = f"{len(found.node):,} nodes in {len(model['trees']):,} trees; a protobuf file holds about {MOST_NODES:,}"
        raise BundleError("package.onnx-too-large", "the trees are too many for an ONNX file", why, "fewer or shallower trees")
    how = {"domain": "ai.onnx.ml", "n_targets": len(base), "aggregate_function": "SUM", "post_transform": "NONE"}
    node = helper.make_node("TreeEnsembleRegressor", ["features"], ["margin"], **how)
    node.attribute.extend(
        [
            _strings("nodes_modes", [(b"BRANCH_LT", b"LEAF")[leaf] for leaf in found.leaf.tolist()]),
            _integers("nodes_treeids", found.tree),
            _integers("nodes_nodeids", found.node),
            _integers("nodes_featureids", found.feature),
            _integers("nodes_truenodeids", found.true),
            _integers("nodes_falsenodeids", found.false),
            _integers("nodes_missing_value_tracks_true", found.missing),
            _floats("nodes_values", found.value),
            _integers("target_treeids", found.tree[found.leaf]),
            _integers("target_nodeids", found.node[found.leaf]),
            _integers("target_ids", found.target),
            _floats("target_weights", found.weight),
        ]
    )
    graph.nodes.append(node)


def _integers(name: str, values: np.ndarray) -> "onnx.AttributeProto":
    """As `helper.make_attribute`, which looks at every value three times."""
    import onnx

    attribute = onnx.AttributeProto(name=name, type=onnx.AttributeProto.INTS)
    attribute.ints.extend(values.tolist())
    return attribute


def _floats(name: str, values: np.ndarray) -> "onnx.AttributeProto":
    import onnx

    attribute = onnx.AttributeProto(name=name, type=onnx.AttributeProto.FLOATS)
    attribute.floats.extend(values.tolist())
    return attribute


def _strings(name: str, values: list[bytes]) -> "onnx.AttributeProto":
    import onnx

    attribute = onnx.AttributeProto(name=name, type=onnx.AttributeProto.STRINGS)
    attribute.strings.extend(values)
    return attribute


def _base_margins(ensemble: Ensemble, learner: dict[str, Any]) -> np.ndarray:
    """What each output's sum begins with, in margin units: (outputs,) float32."""
    text = str(learner["learner_model_param"]["base_score"])
    base = np.atleast_1d(np.asarray(json.loads(text), np.float32))
    outputs = 1 if len(ensemble.classes) == 2 else len(ensemble.classes)
    if len(base) == 1 and outputs > 1:
        base = np.repeat(base, outputs)
    if ensemble.link == "logistic":
        one = np.float32(1)
        return np.asarray(-np.log(one / base - one), np.float32)  # as XGBoost: float32 throughout
    return base


def _linear(graph: _Graph, ensemble: Ensemble) -> None:
    """Margins of the linear form, in float64 as in `trees.linear.margins`: numbers by a product, categories by looking their weight up."""
    from onnx import TensorProto

    assert ensemble.design is not None, "a linear ensemble has a design"
    weight, bias = linear.weights(ensemble)
    plain = [i for i, count in enumerate(ensemble.design.levels) if not count]
    kinds = [i for i, count in enumerate(ensemble.design.levels) if count]
    total = graph.constant("bias", bias[None, :], np.float64)
    wide = graph.add("Cast", ["features"], "wide", to=TensorProto.DOUBLE)
    if plain:
        product = _numbers(graph, wide, ensemble.design, plain, weight[: len(plain)])
        total = graph.add("Add", [product, total], "of_numbers")
    if kinds:
        total = graph.add("Add", [_looked_up(graph, wide, ensemble.design, kinds, weight[len(plain) :]), total], "of_all")
    graph.add("Cast", [total], "margin", to=TensorProto.FLOAT)


def _numbers(graph: _Graph, wide: str, design: LinearDesign, places: list[int], weight: np.ndarray) -> str:
    from onnx import TensorProto

    cells = graph.add("Gather", [wide, graph.constant("number_places", places, np.int64)], "numbers", axis=1)
    fill, mean, scale = (
        graph.constant(name, [[getattr(design, name)[i] for i in places]], np.float64) for name in ("fill", "mean", "scale")
    )
    filled = graph.add("Where", [graph.add("IsNaN", [cells], "no_number"), fill, cells], "filled")
    centred = graph.add("Sub", [filled, mean], "centred")
    scaled = graph.add("Div", [centred, scale], "scaled")
    ends = [graph.constant("nearest", -linear.FAR, np.float64), graph.constant("farthest", linear.FAR, np.float64)]
    near = graph.add("Clip", [scaled, *ends], "near")
    narrow = graph.add("Cast", [near], "design", to=TensorProto.FLOAT)  # the design that was trained on is float32
    again = graph.add("Cast", [narrow], "design_wide", to=TensorProto.DOUBLE)
    return graph.add("MatMul", [again, graph.constant("number_weights", weight, np.float64)], "product")


def _looked_up(graph: _Graph, wide: str, design: LinearDesign, places: list[int], weight: np.ndarray) -> str:
    from onnx import TensorProto

    counts = np.asarray([design.levels[i] for i in places], np.float64)
    starts = np.concatenate([[0], np.cumsum(counts + 1)[:-1]])
    cells = graph.add("Gather", [wide, graph.constant("category_places", places, np.int64)], "categories", axis=1)
    count = graph.constant("counts", counts[None, :], np.float64)
    low = graph.add("GreaterOrEqual", [cells, graph.constant("first", 0, np.float64)], "not_below")
    known = graph.add("And", [low, graph.add("Less", [cells, count], "not_above")], "known")  # both are false for a missing cell
    code = graph.add("Where", [known, cells, count], "code")
    place = graph.add("Add", [code, graph.constant("starts", starts[None, :], np.float64)], "place")
    found = graph.add(
        "Gather",
        [graph.constant("level_weights", weight, np.float64), graph.add("Cast", [place], "index", to=TensorProto.INT64)],
        "found",
        axis=0,
    )
    return graph.add("ReduceSum", [found, graph.constant("levels_axis", [1], np.int64)], "of_categories", keepdims=0)

"""OnnxGraph: a network that came as ONNX. The graph is data: checked before it runs, and run on the CPU."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sealmap.core.errors import BundleError
from sealmap.core.tiling import Tiling
from sealmap.model.bundle import ModelBundle

GRAPH, CHANNELS = "graph", "channels"
"""Tensors of a bundle: the file's bytes, and which channel of the graph is which class of the legend."""

_KEEP_SHAPE = frozenset({"Identity", "Cast", "Resize", "Upsample", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Pad"})
_LINEAR = frozenset({"Conv", "ConvTranspose", "BatchNormalization", "Gemm", "MatMul", "LogSoftmax"})
_FLOATS = {1: np.float32, 10: np.float16}
EXPORT = (
    "torch.onnx.export(model.eval(), x, 'model.onnx', input_names=['x'], output_names=['y'], dynamic_axes="
    "{n: {0: 'n', 2: 'h', 3: 'w'} for n in 'xy'}, dynamo=False)"
)


class OnnxGraph:
    """A checked graph: pixels as the network takes them → whatever it gives.

    bands, channels: of input and output. side: of the windows that it takes, None where any multiple of 32 will do.
    tail: what its last nodes amount to, one of ``card.OUTPUTS`` (None: cannot be told). opset: of the ONNX operators.
    BundleError for what is no plain picture-to-picture network, or wants more than its own bytes.
    """

    def __init__(self, data: bytes, *, halo: int = 0) -> None:
        onnx, runtime = _modules()
        model = _checked(onnx, data)
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.tail = _tail(model.graph)
        self._input, self._float = _input_of(model.graph)
        shape = [_size(d) for d in self._input.type.tensor_type.shape.dim]
        self.bands, self.side, self._one = int(shape[1] or 0), _side(shape), shape[0] == 1
        self._halo = halo
        if self.side and self.side - 2 * halo < 16:
            raise BundleError(
                f"the graph takes windows of {self.side} px, of which a halo of {halo} px leaves nothing",
                remedy=f"use --halo {self.side // 8}, or export it for any size: {EXPORT}",
            )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BundleError(f"onnxruntime cannot run the graph ({_line(error)})", remedy="export it again") from error
        self.channels = self._asked()

    def raw(self, x_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the graph gives for normalised pixels (N, C, H, W): (N, K, H, W), float32.

        A graph of fixed size sees windows of that size, each with its halo; beyond the picture it sees a mirror.
        """
        if self.side is None:
            return self._run(x_NCHW)
        height, width = x_NCHW.shape[2:]
        tiling = Tiling(height=height, width=width, step=self.side - 2 * self._halo, halo=self._halo)
        below = tiling.rows * tiling.step - height + self._halo
        right = tiling.cols * tiling.step - width + self._halo
        wide = np.pad(x_NCHW, [(0, 0), (0, 0), (self._halo, below), (self._halo, right)], mode="symmetric")
        out: NDArray[np.float32] = np.empty((len(x_NCHW), self.channels, height, width), np.float32)
        for tile in tiling:
            rows, cols = (slice(s, s + self.side) for s in (tile.keep.row, tile.keep.col))
            inner = (slice(None), slice(None), *tile.keep_in_read)
            keep = tile.keep
            place = slice(keep.row, keep.row + keep.height), slice(keep.col, keep.col + keep.width)
            out[:, :, *place] = self._run(wide[:, :, rows, cols])[inner]
        return out

    def _run(self, x_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = np.split(x_NCHW, len(x_NCHW)) if self._one else [x_NCHW]
        feed = [np.ascontiguousarray(part.astype(self._float)) for part in parts]
        try:
            found = [self._session.run(None, {self._input.name: part})[0] for part in feed]
        except Exception as error:
            raise BundleError(
                f"the graph does not run on windows of {x_NCHW.shape[2]} x {x_NCHW.shape[3]} px ({_line(error)})",
                remedy=f"export it for any size: {EXPORT}",
            ) from error
        out: NDArray[np.float32] = np.concatenate(found).astype(np.float32)
        if out.ndim != 4 or (len(out), *out.shape[2:]) != (len(x_NCHW), *x_NCHW.shape[2:]):
            n, _, h, w = x_NCHW.shape
            raise BundleError(
                f"the graph makes {out.shape} of {x_NCHW.shape}; a map needs ({n}, classes, {h}, {w})",
                remedy=f"export the whole network, with its last upsampling and without argmax: {EXPORT}",
            )
        return out

    def _asked(self) -> int:
        """Channels of the output, found by running the graph once."""
        side = self.side or 64
        return int(self._run(np.zeros((1, self.bands, side, side), np.float32)).shape[1])


def graph_of(bundle: ModelBundle) -> OnnxGraph:
    """The graph that a bundle holds, checked again: whoever made the bundle may not have."""
    try:
        data = bundle.weights[GRAPH].numpy().tobytes()
    except KeyError as error:
        raise BundleError("the bundle holds no graph", remedy="import the model again") from error
    return OnnxGraph(data, halo=bundle.card.halo)


def graph_weights(data: bytes, order: list[int] | None) -> dict[str, Tensor]:
    """The tensors of a bundle that holds this graph. order: channel of each class of the legend; None as they are."""
    weights = {GRAPH: torch.frombuffer(bytearray(data), dtype=torch.uint8)}
    return weights if order is None else weights | {CHANNELS: torch.tensor(order)}


def _modules() -> tuple[Any, Any]:
    try:
        return importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    except ImportError as error:
        raise BundleError(
            f"the model is an ONNX graph, and {error.name} is not installed", remedy="pip install 'sealmap[onnx]'"
        ) from error


def _checked(onnx: Any, data: bytes) -> Any:
    """The model, where it is nothing but operators of ONNX and its own bytes."""
    try:
        model = onnx.load_model_from_string(data)
        nodes = list(_nodes(model.graph))
    except Exception as error:
        raise BundleError(f"the file is no ONNX graph ({_line(error)})", remedy="export the model again") from error
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in nodes if n.domain not in ("", "ai.onnx")})
    if foreign or model.functions:
        names = ", ".join(foreign[:5]) or f"{len(model.functions)} functions"
        raise BundleError(
            f"the graph has operators that are not ONNX's own: {names}",
            remedy="export it with standard operators only, without a quantiser's or a vendor's optimisation",
        )
    if any(t.data_location == onnx.TensorProto.EXTERNAL or t.external_data for t in _tensors(model.graph)):
        raise BundleError(
            "the weights of the graph are in another file beside it",
            remedy="onnx.save(onnx.load('model.onnx'), 'whole.onnx', save_as_external_data=False)",
        )
    if not nodes or not any(o.domain in ("", "ai.onnx") for o in model.opset_import):
        raise BundleError("the file is no ONNX graph of a network", remedy="export the model again")
    return model


def _nodes(graph: Any) -> Iterator[Any]:
    """All nodes, those of branches and loops too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for a in node.attribute:
            yield from (a.t, *a.tensors, a.sparse_tensor.values, a.sparse_tensor.indices)
            for inner in (a.g, *a.graphs):
                yield from _tensors(inner)


def _input_of(graph: Any) -> tuple[Any, Any]:
    """The one input, a float picture, and its type in numpy."""
    stored = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in stored]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise BundleError(
            f"the graph has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}) and {len(graph.output)} outputs"
            f" ({', '.join(o.name for o in graph.output)}); one picture in and one out are needed",
            remedy="export it with the picture as its only input and the classes as its only output",
        )
    kind = inputs[0].type.tensor_type
    shape = [_size(d) for d in kind.shape.dim]
    if kind.elem_type not in _FLOATS or len(shape) != 4 or not shape[1] or shape[1] > 16:
        told = ", ".join("?" if v is None else str(v) for v in shape)
        raise BundleError(
            f"the graph takes ({told}) of ONNX type {kind.elem_type}; (N, bands, H, W) of floats (type 1) is needed",
            remedy="export it with channels first and a fixed number of bands, and without steps before the network",
        )
    return inputs[0], _FLOATS[kind.elem_type]


def _size(dim: Any) -> int | None:
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _side(shape: list[int | None]) -> int | None:
    batch, _, height, width = shape
    if height is None and width is None and batch in (None, 1):
        return None
    if height != width or batch not in (None, 1):
        raise BundleError(
            f"the graph takes {batch or 'any'} windows of {height or 'any'} x {width or 'any'} px",
            remedy=f"export it for any size: {EXPORT}",
        )
    return height


def _tail(graph: Any) -> str | None:
    """Activations between the output and the last layer with weights, one of ``card.OUTPUTS``, or None."""
    makers = {name: node for node in graph.node for name in node.output}
    name: str = graph.output[0].name
    found: list[str] = []
    while (node := makers.get(name)) is not None:
        if node.op_type in _LINEAR:
            return _NAMED.get(tuple(found))
        if node.op_type in ("Sigmoid", "Softmax"):
            found.append(node.op_type)
        elif node.op_type not in _KEEP_SHAPE:
            return None
        name = node.input[0]
    return None


_NAMED = {
    (): "logits",
    ("Sigmoid",): "sigmoid",
    ("Softmax",): "softmax",
    ("Sigmoid", "Sigmoid"): "double_sigmoid",
    ("Softmax", "Softmax"): "double_softmax",
}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

"""Graphs are data: checked, run, and nothing read beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tests.unit.model.foreign_models import Activating, conv_graph
from tests.unit.model.tiny import CARD, network

from sealmap.core.errors import BundleError, SettingsError
from sealmap.core.legend import ROOF_PAVED
from sealmap.model.adapt import refuse_without_batch_norm
from sealmap.model.bundle import ModelBundle, load_bundle, save_bundle, save_weights
from sealmap.model.card import ONNX
from sealmap.model.engines import OnnxEngine, TorchEngine, engine_for
from sealmap.model.graph import OnnxGraph, graph_weights

RGB = replace(
    CARD, architecture=ONNX, encoder="opset 17", bands=("red", "green", "blue"), mean=(0.4, 0.5, 0.3),
    std=(0.2, 0.1, 0.3), statistics={},
)  # fmt: skip


def pixels(bands: int = 3, side: int = 64) -> Any:
    return np.random.default_rng(0).integers(0, 256, (2, bands, side, side + 32), np.uint8)


def opened(data: bytes, order: list[int] | None = None, **changes: Any) -> ModelBundle:
    return ModelBundle(card=replace(RGB, **changes), weights=graph_weights(data, order))


def stored(activations: tuple[str, ...] = (), **how: Any) -> bytes:
    return bytes(conv_graph(activations, **how).SerializeToString())


@pytest.mark.parametrize(
    ("activations", "output"), [((), "logits"), (("sigmoid",), "sigmoid"), (("softmax",), "softmax"),
                                (("sigmoid", "sigmoid"), "double_sigmoid")]
)  # fmt: skip
def test_a_stored_graph_maps_as_the_network_it_was_made_from(
    tmp_path: Path, activations: tuple[str, ...], output: str
) -> None:
    net = network(spread=0.2)
    file = tmp_path / "m.onnx"
    free = {name: {0: "n", 2: "h", 3: "w"} for name in "xy"}
    torch.onnx.export(
        Activating(net, *activations).eval(), (torch.rand(1, 4, 64, 64),), str(file), input_names=["x"],
        output_names=["y"], dynamic_axes=free, dynamo=False,
    )  # fmt: skip
    save_bundle(tmp_path / "torch.sealmap", CARD, net, overwrite=False)
    card = replace(CARD, architecture=ONNX, output=output)
    signed = save_weights(tmp_path / "m.sealmap", card, graph_weights(file.read_bytes(), None), overwrite=False)
    loaded = load_bundle(tmp_path / "m.sealmap")
    assert loaded.card == signed
    engine = engine_for(loaded, "cpu")
    assert isinstance(engine, OnnxEngine)
    wanted = engine_for(load_bundle(tmp_path / "torch.sealmap"), "cpu")
    assert isinstance(wanted, TorchEngine)
    found, true = engine.probs(pixels(4), 255.0), wanted.probs(pixels(4), 255.0)
    assert true.std() > 0.01
    np.testing.assert_allclose(found, true, atol=1e-4 if output == "double_sigmoid" else 1e-5)


def test_one_channel_becomes_background_and_sealed() -> None:
    probs = engine_for(opened(stored(("Sigmoid",)), output="sigmoid", temperature=1.0)).probs(pixels(), 255.0)
    card_free = OnnxGraph(stored(("Sigmoid",)))
    x = (pixels().astype(np.float32) / 255 - np.array(RGB.mean, np.float32)[:, None, None]) / np.array(
        RGB.std, np.float32
    )[:, None, None]
    np.testing.assert_allclose(probs[:, 1:], card_free.raw(x), atol=1e-6)
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)


def test_classes_in_another_order_are_put_in_the_legends() -> None:
    data = stored(channels=3)
    plain = engine_for(opened(data, legend=ROOF_PAVED)).probs(pixels(), 255.0)
    turned = engine_for(opened(data, [2, 0, 1], legend=ROOF_PAVED)).probs(pixels(), 255.0)
    np.testing.assert_allclose(turned, plain[:, [2, 0, 1]], atol=1e-6)


def test_a_graph_of_fixed_size_maps_any_window_without_seams() -> None:
    free = engine_for(opened(stored(channels=2)))
    fixed = engine_for(opened(stored(channels=2, side=48), halo=4))
    found, wanted = fixed.probs(pixels(side=96), 255.0), free.probs(pixels(side=96), 255.0)
    inner = (..., slice(2, -2), slice(2, -2))  # beyond the picture one sees a mirror, the other zeros
    np.testing.assert_allclose(found[inner], wanted[inner], atol=1e-6)
    assert found.shape == wanted.shape
    with pytest.raises(BundleError, match="windows of 48 px, of which a halo of 20 px leaves nothing"):
        engine_for(opened(stored(side=48), halo=20))


def changed(**how: Any) -> bytes:
    model = conv_graph(("Sigmoid",))
    if "domain" in how:
        model.graph.node[1].domain = "com.vendor"
        model.opset_import.append(helper.make_opsetid("com.vendor", 1))
    if "external" in how:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../secret")
    if "bytes" in how:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    if "last" in how:
        for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 64, 64, 3), strict=True):
            dim.dim_value = size
    if "flat" in how:
        del model.graph.input[0].type.tensor_type.shape.dim[0]
    if "two" in how:
        model.graph.output.append(helper.make_tensor_value_info("v0", TensorProto.FLOAT, None))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("domain", r"not ONNX's own: com\.vendor\.Sigmoid"),
        ("external", "in another file"),
        ("bytes", "of ONNX type 2"),
        ("last", r"takes \(1, 64, 64, 3\)"),
        ("flat", "takes .*floats"),
        ("two", "2 outputs"),
    ],
)
def test_graphs_that_want_more_than_a_picture_and_their_own_bytes_are_refused(what: str, words: str) -> None:
    with pytest.raises(BundleError, match=f"{words}.* → "):
        OnnxGraph(changed(**{what: True}))


def test_operators_hidden_in_a_branch_are_found() -> None:
    model = conv_graph()
    inner = helper.make_graph(
        [helper.make_node("Evil", [], ["e"], domain="com.vendor")], "then", [],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)],
    )  # fmt: skip
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))
    with pytest.raises(BundleError, match=r"com\.vendor\.Evil"):
        OnnxGraph(model.SerializeToString())


@pytest.mark.parametrize("data", [b"", b"words, and no graph", b"\x00" * 50])
def test_other_bytes_are_no_graph(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"no ONNX graph.* → "):
        OnnxGraph(data)


def test_a_graph_that_shrinks_the_picture_is_refused() -> None:
    model = conv_graph()
    del model.graph.node[0].attribute[:]
    with pytest.raises(BundleError, match=r"makes \(1, 1, 62, 62\) of \(1, 3, 64, 64\)"):
        OnnxGraph(model.SerializeToString())


@pytest.mark.parametrize(
    ("activations", "tail"),
    [((), "logits"), (("Sigmoid",), "sigmoid"), (("Identity", "Softmax"), "softmax"),
     (("Sigmoid", "Identity", "Sigmoid"), "double_sigmoid"), (("Softmax", "Sigmoid"), None), (("Relu",), None)],
)  # fmt: skip
def test_the_last_nodes_tell_what_they_can(activations: tuple[str, ...], tail: str | None) -> None:
    assert OnnxGraph(stored(activations, channels=2)).tail == tail


def test_values_that_are_no_numbers_are_refused_when_mapping() -> None:
    with pytest.raises(BundleError, match="NaN or infinity"):
        engine_for(opened(stored(bias=float("nan")))).probs(pixels(), 255.0)


def test_a_graph_that_does_not_fit_its_card_is_refused() -> None:
    with pytest.raises(BundleError, match="3 bands and 2 channels, its card 3 and 3"):
        engine_for(opened(stored(channels=2), legend=ROOF_PAVED))
    with pytest.raises(BundleError, match="holds no graph"):
        engine_for(ModelBundle(card=RGB, weights={}))


def test_there_is_no_network_to_adapt() -> None:
    with pytest.raises(BundleError, match=r"holds an ONNX graph: there is no network.* → "):
        refuse_without_batch_norm(opened(stored()))


def test_the_cpu_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(SettingsError, match="runs on the CPU → use --device cpu"):
        engine_for(opened(stored()), "cuda")
    assert engine_for(opened(stored()), "auto").card.architecture == ONNX


def test_without_onnxruntime_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(BundleError, match=r"onnx is not installed → pip install 'sealmap\[onnx\]'"):
        engine_for(opened(stored()))


def test_the_version_of_onnx_reads_what_we_write() -> None:
    onnx.checker.check_model(conv_graph(("Sigmoid",)))

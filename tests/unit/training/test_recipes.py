"""Recipes: what a run is, and how it is overridden."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sealmap.core.errors import SettingsError
from sealmap.model.losses import Mix
from sealmap.training.recipes import RECIPES, Recipe, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_have_their_names(name: str) -> None:
    assert recipe_named(name).name == name
    assert recipe_named(name) == RECIPES[name]()


def test_overrides_take_the_type_of_the_field() -> None:
    found = recipe_named(
        "tiny",
        {"steps": "12", "lr": "3e-4", "mean": "0.1,0.2,0.3,0.4", "gsd_m": "0.1", "encoder": "resnet18", "seed": "7"},
    )
    assert (found.steps, found.lr, found.gsd_m, found.encoder, found.seed) == (12, 3e-4, 0.1, "resnet18", 7)
    assert found.mean == (0.1, 0.2, 0.3, 0.4)
    assert type(found.steps) is int
    found = recipe_named("tiny", {"class_weights": "1,2.5", "loss": "gce", "balance": "sheets", "precision": "fp16"})
    assert (found.class_weights, found.loss, found.balance, found.precision) == ((1.0, 2.5), "gce", "sheets", "fp16")


def test_every_field_can_be_set_to_what_it_is() -> None:
    for f in fields(Recipe):
        value = getattr(recipe_named("unet_lite0"), f.name)
        if f.name == "name" or value is None:
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert recipe_named("unet_lite0", {f.name: text}) == recipe_named("unet_lite0")


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("unet", {}, "no recipe 'unet' → use one of: unet_resnet34, unet_lite0, segformer_lite0, tiny"),
        ("tiny", {"step": "3"}, "a recipe has no 'step' → did you mean 'steps'?"),
        ("tiny", {"zzz": "3"}, "a recipe has no 'zzz' → known are: architecture"),
        ("tiny", {"name": "x"}, "a recipe has no 'name'"),
        ("tiny", {"steps": "many"}, "steps=many is no int → the recipe has steps=6"),
        ("tiny", {"steps": "1.5"}, "steps=1.5 is no int"),
        ("tiny", {"gsd_m": "fine"}, "gsd_m=fine is no"),
        ("tiny", {"gsd_m": "0"}, "gsd_m 0"),
        ("tiny", {"mean": "a,b"}, "mean=a,b is no"),
        ("tiny", {"patch": "100"}, "patch 100 must be a multiple of 32"),
        ("tiny", {"steps": "0"}, "at least 1"),
        ("tiny", {"ema": "1"}, "out of range: ema 1"),
        ("tiny", {"lr": "nan"}, "out of range.*lr nan"),
        ("tiny", {"zoom": "0.5"}, "zoom 0.5"),
        ("tiny", {"precision": "fp8"}, "precision is 'fp8' → use one of: auto, fp32, bf16, fp16"),
        ("tiny", {"loss": "dice"}, "loss is 'dice' → use one of: ce, focal, gce"),
        ("tiny", {"balance": "sheet"}, "balance is 'sheet' → use one of: chips, sheets"),
        ("tiny", {"domain": "1.5"}, "domain 1.5"),
        ("tiny", {"checkpoint_minutes": "-1"}, "checkpoint_minutes -1"),
        ("tiny", {"lovasz": "-1"}, "out of range.*lovasz -1"),
        ("tiny", {"q": "0"}, "out of range.*q 0"),
        ("tiny", {"dice": "nan"}, "out of range: dice nan"),
        ("tiny", {"class_weights": "1,0"}, "class_weights .*must be above 0"),
        ("tiny", {"loss": "gce", "smoothing": "0.1"}, "smoothing 0.1 has no meaning for loss 'gce'"),
    ],
)
def test_wrong_recipes_are_refused(name: str, overrides: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words.replace("?", r"\?")):
        recipe_named(name, overrides)


def test_the_mix_of_losses_is_the_recipes() -> None:
    found = recipe_named("tiny", {"loss": "focal", "gamma": "3", "lovasz": "0.25", "class_weights": "1,2"}).mix
    assert found == Mix(pixel="focal", gamma=3.0, lovasz=0.25, dice=0.5, class_weights=(1.0, 2.0))
    given = {f.name for f in fields(Mix)} - {"pixel"} | {"loss"}
    assert given <= {f.name for f in fields(Recipe)}

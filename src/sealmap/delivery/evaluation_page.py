"""The evaluation as one HTML page: the verdict, tables with intervals, plots, and pictures of windows.

Every number on it is in scores.json; the page only rounds them. It needs no other file.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import OutputError
from sealmap.core.legend import Legend
from sealmap.delivery.calibration_figures import Bins, Curve, reliability_svg, threshold_svg
from sealmap.delivery.evaluation_charts import MOST_POINTS, SIDE, dot, scatter
from sealmap.delivery.evaluation_notices import notices
from sealmap.delivery.evaluation_numbers import area, score, share, spread
from sealmap.delivery.evaluation_texts import BLANK, say, say_or
from sealmap.delivery.templating import render
from sealmap.delivery.texts import Language, number
from sealmap.files.atomic import write_text

_JPEG_QUALITY = 85
_NO_AIM = "no aim (default)"
"""What the figure's title, which is English, says of a threshold that was not fitted."""

_COLUMNS = ("iou", "boundary_iou", "f1", "precision", "recall", "accuracy")
_PARCEL_COLUMNS = (
    "area_bias", "bias_m2", "mae_m2", "rmse_m2", "within_5_m2", "within_10_percent", "within_either",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowPicture:
    """A scored window: photo, truth, map and errors, each uint8 (rows, columns, 3)."""

    photo_HWC: NDArray[np.uint8]
    truth_HWC: NDArray[np.uint8]
    pred_HWC: NDArray[np.uint8]
    errors_HWC: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationPage:
    """``scores``: as in scores.json. worst, random: pictures, in the order of ``scores["windows"]``.

    colors: of the errors picture by word (missed, invented, mixed, right). points_N2: (true, mapped) m² of parcels.
    bins, curve: what probabilities say; None where there are none.
    """

    scores: Mapping[str, Any]
    legend: Legend
    colors: Mapping[str, tuple[int, int, int]]
    worst: Sequence[WindowPicture] = ()
    random: Sequence[WindowPicture] = ()
    points_N2: NDArray[np.float64] | None = None
    bins: Bins | None = None
    curve: Curve | None = None
    language: Language = "en"


def write_evaluation_page(path: Path, page: EvaluationPage, *, overwrite: bool) -> None:
    """Write the page; everything it shows is inside the one file."""
    write_text(path, html(page), overwrite=overwrite)


def html(page: EvaluationPage) -> str:
    """The page as HTML. Every text from outside is escaped."""
    language, scores = page.language, page.scores
    return render(
        "evaluation.html.j2",
        t=lambda key, **values: say(key, language, **values),
        language=language,
        sub=scores["facts"]["model"],
        cards=_cards(page),
        verdict=_verdict(page),
        doubted=scores["training"]["status"] == "seen" or scores["training"].get("split") in ("train", "val"),
        notices=notices(scores, language),
        classes=_classes(page),
        columns=_COLUMNS,
        counted={"resamples": number(scores["resamples"], language), "blocks": number(scores["blocks"], language)},
        sheets=_sheets(page),
        by_class=_by_class(page),
        confusion=_confusion(page),
        objects=_objects(page),
        parcels=_parcels(page),
        parcel_columns=_PARCEL_COLUMNS,
        probabilities=_probabilities(page),
        key=[(c.label(language), c.color) for c in page.legend.classes],
        error_key=[(say(name, language), color) for name, color in page.colors.items()],
        galleries=[_gallery("worst", page.worst, page), _gallery("random", page.random, page)],
        facts=[(say_or(f"fact.{k}", language, k), v) for k, v in scores["facts"].items() if v],
        inputs=[(f["name"], f["sha256"]) for f in scores["inputs"]],
        side=SIDE,
    )


def png(image_HWC: NDArray[np.uint8]) -> bytes:
    """An RGB picture as PNG bytes."""
    return _encoded(image_HWC, ".png", [])


def _encoded(image_HWC: NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, np.ascontiguousarray(image_HWC[:, :, ::-1]), options)
    if not done:
        raise OutputError(f"a picture of shape {image_HWC.shape} cannot be encoded as {suffix}")
    return data.tobytes()


def _cards(page: EvaluationPage) -> list[tuple[str, str, str]]:
    """The verdict in numbers: (value, what it is, its interval)."""
    language, scores = page.language, page.scores
    sealed = scores["scores"]["sealed"]

    def around(name: str, *, signed: bool = False) -> str:
        if sealed[name]["value"] is None:
            return ""
        found = spread(sealed[name], language, signed=signed)
        return say("interval", language, low=found[0], high=found[1]) if found else say("no_interval", language)

    cards = [
        (score(sealed["iou"]["value"], language), say("card.iou", language), around("iou")),
        (share(sealed["area_bias"]["value"], language, signed=True), say("card.bias", language),
         around("area_bias", signed=True)),
        (score(sealed["boundary_iou"]["value"], language), say("card.boundary", language), around("boundary_iou")),
    ]  # fmt: skip
    if scores["probabilities"]:
        cards.append((score(scores["probabilities"]["ece"], language), say("card.ece", language), ""))
    if scores["parcels"]:
        either = scores["parcels"]["scores"]["within_either"]["value"]
        cards.append((share(either, language), say("card.parcels", language), ""))
    pixels = number(scores["pixels"], language)
    judged = f"{area(scores['judged_m2'], language)}{BLANK}m²"
    return [*cards, (judged, say("card.judged", language, pixels=pixels), "")]


def _verdict(page: EvaluationPage) -> list[str]:
    language, sealed, training = page.language, page.scores["sealed_m2"], page.scores["training"]
    facts = page.scores["facts"]
    figures = {
        "truth": sealed["truth"],
        "predicted": sealed["predicted"],
        "both": sealed["both"],
        "missed": sealed["truth"] - sealed["both"],
        "invented": sealed["predicted"] - sealed["both"],
    }
    lines = [
        say("verdict", language, **{name: area(m2, language) for name, m2 in figures.items()}),
        say(
            "measured", language,
            pixels=number(page.scores["pixels"], language), n=number(len(page.scores["by_sheet"]), language),
            flight=facts["flight"] or say("flight_unknown", language), labels=facts["labels"],
        ),
        say(f"mode.{page.scores['mode']}", language),
    ]  # fmt: skip
    split = training.get("split")
    if split in ("train", "val"):
        return [*lines, say(f"training.{split}", language)]
    if split:
        lines.append(say("training.split", language, split=split))
    return [*lines, say(f"training.{training['status']}", language, sheets=", ".join(training["sheets"]))]


def _classes(page: EvaluationPage) -> list[dict[str, Any]]:
    """A row per union of classes: name, scores, bias in percent and m², each with its interval."""
    language = page.language
    names = {c.key: c.label(language) for c in page.legend.classes} | {"sealed": say("sealed", language)}
    rows = []
    for key, found in page.scores["scores"].items():
        cells = [(score(found[name]["value"], language), spread(found[name], language)) for name in _COLUMNS]
        bias, bias_m2 = found["area_bias"], found["area_bias_m2"]
        cells.append((share(bias["value"], language, signed=True), spread(bias, language, signed=True)))
        around = spread(bias_m2, language, signed=True, m2=True, decimals=0)
        cells.append((area(bias_m2["value"], language, signed=True), around))
        rows.append({"name": names[key], "cells": cells, "sum": key == "sealed" and len(page.scores["scores"]) > 2})
    return rows


def _sheets(page: EvaluationPage) -> list[dict[str, Any]]:
    language = page.language
    return [
        {
            "name": name,
            "dot": dot(row["iou"], (row["intervals"]["iou"][0], row["intervals"]["iou"][1])),
            "cells": [
                score(row["iou"], language),
                score(row["boundary_iou"], language),
                score(row["precision"], language),
                score(row["recall"], language),
                area(row["truth_m2"], language),
                area(row["predicted_m2"], language),
                share(row["area_bias"], language, signed=True),
                area(row["area_bias_m2"], language, signed=True),
            ],
        }
        for name, row in page.scores["by_sheet"].items()
    ]


def _by_class(page: EvaluationPage) -> list[dict[str, Any]]:
    language = page.language
    names = {c.key: c.label(language) for c in page.legend.classes}
    return [
        {
            "name": names.get(key, key),
            "cells": [
                area(row["m2"], language),
                area(row["called_sealed_m2"], language),
                share(row["share"], language),
            ],
            "width": round(100 * (row["share"] or 0), 1),
        }
        for key, row in page.scores["by_class"].items()
    ]


def _confusion(page: EvaluationPage) -> list[tuple[str, list[str]]]:
    """Rows of the matrix in m²."""
    scores, language = page.scores, page.language
    per_pixel = scores["judged_m2"] / max(1, scores["pixels"])
    return [
        (c.label(language), [area(n * per_pixel, language) for n in row])
        for c, row in zip(page.legend.classes, scores["confusion"]["truth_by_prediction"], strict=True)
    ]


def _objects(page: EvaluationPage) -> dict[str, Any] | None:
    found, language = page.scores["objects"], page.language
    if found is None:
        return None

    def row(size: str, v: Mapping[str, Any]) -> dict[str, Any]:
        cells = [
            number(v["number"], language),
            number(v["found"], language),
            share(v["recall_number"], language),
            area(v["m2"], language),
            share(v["recall_m2"], language),
        ]
        return {"name": say(f"size.{size}", language), "cells": cells, "width": round(100 * (v["recall_m2"] or 0), 1)}

    kinds = [
        (say(f"kind.{kind}", language), [row(size, v) for size, v in sizes.items()])
        for kind, sizes in found["truth"].items()
    ]
    false = [
        (say(f"size.{size}", language), number(v["number"], language), area(v["m2"], language))
        for size, v in found["false_sealed"].items()
    ]
    return {"kinds": kinds, "false": false}


def _parcels(page: EvaluationPage) -> dict[str, Any] | None:
    found, language = page.scores["parcels"], page.language
    if found is None:
        return None

    def cells(scores: Mapping[str, Any]) -> list[tuple[str, tuple[str, str] | None]]:
        made = []
        for name in _PARCEL_COLUMNS:
            signed = name in ("area_bias", "bias_m2")
            if name.endswith("_m2") and name != "within_5_m2":
                made.append(
                    (area(scores[name]["value"], language, signed=signed, decimals=1),
                     spread(scores[name], language, signed=signed, m2=True))
                )  # fmt: skip
            else:
                made.append(
                    (share(scores[name]["value"], language, signed=signed),
                     spread(scores[name], language, signed=signed, percent=True))
                )  # fmt: skip
        return made

    rows = [
        (_range(g["from_m2"], g["below_m2"], language), number(g["parcels"], language), cells(g["scores"]))
        for g in found["by_size"]
    ]
    rows.append((say("all", language), number(found["parcels"], language), cells(found["scores"])))
    drawn = None if page.points_N2 is None else scatter(page.points_N2)
    chosen = ""
    if found["parcels"] > MOST_POINTS:
        figures = {"n": number(MOST_POINTS, language), "all": number(found["parcels"], language)}
        chosen = say("scatter.chosen", language, **figures)
    return {
        "rows": rows,
        "text": say(
            "parcels_text",
            language,
            n=number(found["parcels"], language),
            left=number(found["left_out"], language),
            blocks=number(found["blocks"], language),
        ),
        "scatter": drawn,
        "scatter_text": say("scatter", language, chosen=chosen),
    }


def _range(low: float, high: float | None, language: Language) -> str:
    bounds = {"low": number(low, language), "high": "" if high is None else number(high, language)}
    if high is None:
        return say("range_from", language, low=bounds["low"])
    return say("range", language, **bounds) if low else say("range_below", language, high=bounds["high"])


def _probabilities(page: EvaluationPage) -> dict[str, str] | None:
    said, language = page.scores["probabilities"], page.language
    if said is None or page.bins is None or page.curve is None:
        return None
    aim = say("aim", language, aim=said["aim"]) if said["aim"] else say("no_aim", language)
    text = say(
        "probabilities_text", language,
        ece=score(said["ece"], language, 4), brier=score(said["brier"], language, 4),
        temperature=score(said["temperature"], language), threshold=score(said["threshold"], language), aim=aim,
    )  # fmt: skip
    return {
        "text": text,
        "reliability": reliability_svg({say("sealed", language): page.bins}),
        "curve": threshold_svg(page.curve, said["threshold"], said["aim"] or _NO_AIM),
    }


def _gallery(kind: str, pictures: Sequence[WindowPicture], page: EvaluationPage) -> dict[str, Any]:
    language = page.language
    cards = []
    for told, picture in zip(page.scores["windows"][kind], pictures, strict=True):
        note = say(
            "window", language,
            missed=area(told["missed_m2"], language), invented=area(told["invented_m2"], language),
            judged=area(told["judged_m2"], language), iou=score(told["iou"], language),
        )  # fmt: skip
        photo = _encoded(picture.photo_HWC, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        images = [(say("photo", language), "jpeg", photo)]
        images += [
            (say(word, language), "png", png(image))
            for word, image in (
                ("truth", picture.truth_HWC),
                ("map", picture.pred_HWC),
                ("errors", picture.errors_HWC),
            )
        ]
        coded = [(word, form, base64.b64encode(data).decode("ascii")) for word, form, data in images]
        cards.append({"name": told["name"], "note": note, "images": coded})
    return {
        "kind": kind,
        "title": say(kind, language, n=number(len(cards), language)),
        "text": say(f"{kind}_text", language, seed=str(page.scores["seed"])),
        "cards": cards,
    }

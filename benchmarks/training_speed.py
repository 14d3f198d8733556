"""Images per second of training steps, by network and precision: what 'auto' and float32 depthwise buy on this CPU.

    python benchmarks/training_speed.py

One process, all cores, batches of 8 × 256² in hand; the fastest of five steps each, so compare within one run.
"""

from __future__ import annotations

import argparse
import time

import torch

from sealmap.model.losses import Mix, combined
from sealmap.model.network import build_network
from sealmap.training.precision import chosen_for, keep_depthwise_float32

NETWORKS = (
    ("unet", "tu-tf_efficientnet_lite0"),
    ("fpn", "tu-tf_efficientnet_lite0"),
    ("deeplabv3plus", "tu-tf_efficientnet_lite0"),
    ("segformer", "tu-tf_efficientnet_lite0"),
    ("upernet", "tu-tf_efficientnet_lite0"),
    ("unet", "resnet34"),
)
WAYS = ("fp32", "plain bf16", "bf16")


def images_per_second(architecture: str, encoder: str, way: str, *, batch: int = 8, side: int = 256) -> float:
    """'bf16' is what the loop does: depthwise convolutions in float32."""
    net = build_network(architecture, encoder, bands=3, classes=3)
    if way == "bf16":
        keep_depthwise_float32(net)
    net = net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-5)
    x = torch.rand(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 3, (batch, side, side))
    took = []
    for _ in range(5):
        started = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way != "fp32"):
            logits = net(x)
        loss = combined(logits, y, Mix(dice=0.5))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        took.append(time.perf_counter() - started)
    return batch / min(took)


def main() -> None:
    """Print a row per network."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(f"{torch.get_num_threads()} threads; 'auto' means {chosen_for(torch.device('cpu'))} here")
    print(f"{'network':<40}" + "".join(f"{way:>12}" for way in WAYS) + f"{'bf16 ÷ fp32':>13}   (images/s)")
    for architecture, encoder in NETWORKS:
        found = [images_per_second(architecture, encoder, way) for way in WAYS]
        name = f"{architecture} {encoder}"
        print(f"{name:<40}" + "".join(f"{v:>12.2f}" for v in found) + f"{found[2] / found[0]:>13.2f}", flush=True)


if __name__ == "__main__":
    main()

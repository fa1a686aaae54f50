"""AlexNet as a PyTorch user would write it, with Caffe's arithmetic (LRN, groups, ceil pooling).

Arguments: batch, iterations between two lines, classes, and how it runs: eager, compile (torch.compile), or graphs
(torch.compile with CUDA graphs); compile unless given.  It trains on noise that is drawn on the device, until it is
stopped, and logs as `caffe train` does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import nn

MOMENTUM, WEIGHT_DECAY, BASE_LR = 0.9, 0.0005, 1e-4


def alexnet(classes: int) -> nn.Sequential:
    """(N, 3, 227, 227) to (N, classes)."""

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, 1e-4, 0.75, 1)

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4),
        nn.ReLU(inplace=True),
        norm(),
        pool(),
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.ReLU(inplace=True),
        norm(),
        pool(),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        pool(),
        nn.Flatten(),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, classes),
    )


def parameter_groups(net: nn.Module) -> list[dict[str, object]]:
    """As in the prototxt: weights decay, biases do not and learn twice as fast."""
    weights = [blob for name, blob in net.named_parameters() if name.endswith("weight")]
    biases = [blob for name, blob in net.named_parameters() if name.endswith("bias")]
    return [
        {"params": weights, "weight_decay": WEIGHT_DECAY, "lr": BASE_LR},
        {"params": biases, "weight_decay": 0.0, "lr": 2 * BASE_LR},
    ]


def compiled(loss_of: Callable[..., torch.Tensor], how: str) -> Callable[..., torch.Tensor]:
    """The loss as it is to run."""
    if how == "eager":
        return loss_of
    return torch.compile(loss_of, mode={"compile": None, "graphs": "reduce-overhead"}[how])


def main(batch: int, display: int, classes: int, how: str = "compile") -> None:
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = alexnet(classes).to(device)
    optimiser = torch.optim.SGD(parameter_groups(net), momentum=MOMENTUM, fused=device.type == "cuda")
    loss_of = compiled(lambda images, labels: nn.functional.cross_entropy(net(images), labels), how)
    images = torch.empty(batch, 3, 227, 227, device=device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)
    iteration = 0
    while True:
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(images.normal_(0, 60), labels)
        loss.backward()
        if iteration % display == 0:
            print(f"plain] Iteration {iteration}, loss = {loss.item():g}", flush=True)
        optimiser.step()
        iteration += 1


if __name__ == "__main__":
    given_batch, given_display, given_classes = map(int, sys.argv[1:4])
    main(given_batch, given_display, given_classes, *sys.argv[4:])

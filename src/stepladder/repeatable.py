"""Equal runs give equal bits: what a GPU's library has to be told for that."""

from __future__ import annotations

import torch


def prefer_repeatable(device: torch.device) -> None:
    """Let cuDNN take none but algorithms that add up in a fixed order, for the rest of this process.

    It would otherwise choose by speed, also ones whose sums depend on which thread comes first, and a run that goes on
    after a stop would end in other bits. On a processor there is nothing to do.
    """
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False

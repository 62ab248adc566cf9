"""What nets are made of, layer by layer: one-line nets without torch, and any torch.nn.Module without touching it."""

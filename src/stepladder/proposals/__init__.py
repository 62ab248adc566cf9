"""Nets proposed for an input, a number of classes and a budget: where to pool, how deep, how wide, and why."""

"""Rules of advice: pure functions of facts, by what they look at."""

from stepladder.rules import before, classes, duration, images, net, rates, regularisation
from stepladder.rules.base import Advice, Rule

RULES: tuple[Rule, ...] = (
    *before.RULES,
    *images.RULES,
    *rates.RULES,
    *duration.RULES,
    *net.RULES,
    *regularisation.RULES,
    *classes.RULES,
)
"""Every rule; their order does not matter."""

__all__ = ["RULES", "Advice", "Rule"]

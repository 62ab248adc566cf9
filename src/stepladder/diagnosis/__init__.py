"""What a finished run looks like from outside and inside: facts that advice follows from."""

from stepladder.diagnosis.measure import diagnose
from stepladder.diagnosis.values import Facts

__all__ = ["Facts", "diagnose"]

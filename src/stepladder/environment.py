"""What a result was reached with: versions, processor, threads, git commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any


def describe(threads: int, device: str, engine: str) -> dict[str, Any]:
    """Return the environment as plain values for environment.json.

    Args:
        threads: torch's intra-op threads of the run.
        device: the device type, such as "cpu".
        engine: "compiled" where machine code written for the net trained it, "plain" where torch did.
    """
    import psutil

    return {
        "format": 1,
        "stepladder": _version("stepladder"),
        "torch": _version("torch"),
        "numpy": _version("numpy"),
        "llvmlite": _version("llvmlite"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor_name(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": threads,
        "device": device,
        "engine": engine,
        "git_commit": _git_commit(),
    }


def processor_name() -> str:
    """Return the processor's name as the system gives it, or its architecture where it gives none."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _git_commit() -> str | None:
    """Return the commit of the working folder, or None outside a repository or without git."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

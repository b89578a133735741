"""Peak memory of a stage, also where several stages share one process."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Starts a new peak, where the system allows it; elsewhere the peak stays that of the whole process."""
    try:
        RESET.write_text("5")
    except OSError:
        return


def peak_mib() -> float:
    """Largest resident memory since the last reset, in MiB."""
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

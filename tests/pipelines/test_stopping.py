"""SIGTERM ends a process whatever it is waiting for."""

import signal
import subprocess
import sys

import pytest

# Counts for hours within one call of a library, which Python's own handler of signals has to wait for.
DEAF = "connection.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n')"
# Listens, and is at its end for hours: as a run is that tells a server which is gone how it ended.
LONG_END = "\n".join(["try:", "    time.sleep(9999)", "finally:", "    time.sleep(9999)"])


@pytest.mark.parametrize("work", ["time.sleep(9999)", DEAF, LONG_END])
def test_a_stop_is_obeyed(work: str) -> None:
    code = "import sqlite3, time; from pipelines import _stopping\n"
    code += "_stopping.GRACE_SECONDS = 0.2; _stopping.obey_sigterm(); connection = sqlite3.connect(':memory:')\n"
    code += f"print('ready', flush=True)\n{work}\n"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.communicate()

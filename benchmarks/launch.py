"""Runs one command and writes what it cost as JSON: launch.py COST OUTPUT COMMAND...

`benchmarks.measure` starts this with `python -I -S`. Linux counts the memory of whoever starts a
program towards the peak of the program, so the starter must be smaller than anything it measures.
"""

import json
import os
import sys
import time


def main() -> None:
    cost, output, *command = sys.argv[1:]
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    begin = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=streams)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - begin
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    measured = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "processor": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * unit / 1e6,
    }
    with open(cost, "w", encoding="utf-8") as file:
        json.dump(measured, file)


main()

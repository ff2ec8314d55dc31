#!/usr/bin/python3
"""An isolator that gives every container a scratch directory of the host at /scratch.

It is empty at first, is removed with the container, and may hold LIMIT bytes. Put this file into
the agent's --isolator-dir as `scratch` and add external/scratch to --isolation; see
docs/isolator-programs.md for what is said here and why.
"""

import json
import os
import select
import shutil
import sys

ROOT = "/var/lib/muster-scratch"
LIMIT = 64 << 20


def used(path):
    """What the files below `path` take, in bytes. They may go meanwhile."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def check(_request):
    steps = ["prepare", "isolate", "watch", "usage", "cleanup", "recover"]
    return {"version": 1, "steps": steps}


def prepare(request):
    # Decides, and makes nothing: there may be no container in the end.
    path = os.path.join(ROOT, request["container"]["id"])
    return {
        "env": {"SCRATCH": "/scratch"},
        "mounts": [{"source": path, "target": "/scratch"}],
        "note": path,
    }


def isolate(request):
    path = request["container"]["note"]
    os.makedirs(path)
    os.chmod(path, 0o1777)


def watch(request):
    path = request["container"]["note"]
    while used(path) <= LIMIT:
        # Standard input ends with the container, or with the agent: the next one asks again.
        ended, _, _ = select.select([sys.stdin], [], [], 1)
        if ended:
            return None
    message = f"Scratch space ({used(path)}B) exceeds its limit ({LIMIT}B)"
    resources = {"disk": LIMIT / (1 << 20)}
    return {"limitation": {"reason": "disk", "message": message, "resources": resources}}


def usage(request):
    path = request["container"]["note"]
    return {"statistics": {"disk_used_bytes": used(path), "disk_limit_bytes": LIMIT}}


def cleanup(request):
    # May be called again, and for a container that was never isolated.
    shutil.rmtree(request["container"]["note"], ignore_errors=True)


def recover(request):
    # What an agent that was killed has left of containers that are no more.
    known = {container["id"] for container in request["containers"]}
    for name in os.listdir(ROOT) if os.path.isdir(ROOT) else []:
        if name not in known:
            shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)


if __name__ == "__main__":
    steps = [check, prepare, isolate, watch, usage, cleanup, recover]
    step = {step.__name__: step for step in steps}[sys.argv[1]]
    # One line, and no more is read: with watch the rest is the sign to end.
    answer = step(json.loads(sys.stdin.readline()))
    json.dump(answer or {}, sys.stdout)

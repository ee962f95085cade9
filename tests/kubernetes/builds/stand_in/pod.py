"""Stands in for the steps of a build pod: does what the build's ref says, a JSON object.

The step `build` tells `lines` (and `count` more), takes `memory_mb` and `disk_mb`, waits until `gate` answers with 200 and `seconds` more,
and ends with `error`, or by `exit`; the step `push` asks `made`, as if that were the registry, and the step `try` ends with the
error `untried`, if there is one.
"""

import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

number = 0


def tell(kind, **data):
    global number
    number += 1
    sys.stdout.write(json.dumps({"n": number, "kind": kind, "data": data}) + "\n")
    sys.stdout.flush()


def end(**content):
    pathlib.Path("/dev/termination-log").write_text(json.dumps(content))
    sys.exit(1 if "error" in content else 0)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except urllib.error.URLError:
        return False


def build(script):
    tell("phase", phase="building", message="Building")
    for line in script.get("lines", []):
        tell("log", text=line)
    for line in range(script.get("count", 0)):
        tell("log", text=f"line {line}")
    if "disk_mb" in script:
        with pathlib.Path("/var/lib/containers/large").open("wb") as file:
            for _ in range(script["disk_mb"]):
                file.write(os.urandom(1024 * 1024))
    taken = [b"x" * 1024 * 1024 for _ in range(script.get("memory_mb", 0))]
    while "gate" in script and not answers(script["gate"]):
        time.sleep(0.1)
    time.sleep(script.get("seconds", 0))
    del taken
    if "exit" in script:
        os._exit(script["exit"])
    if "error" in script:
        end(error=script["error"])


def main(step):
    job = json.loads(pathlib.Path("/job/job.json").read_text())
    script = json.loads(job["ref"])
    sys.stderr.write(f"this is {step}, said to the service's own log\n")
    if step == "fetch":
        tell("phase", phase="fetching", message="Fetching")
        logins = json.loads(pathlib.Path("/registry/logins.json").read_text())
        tell("log", text=f"logins for {[login['registry'] for login in logins]}, user {os.getuid()}")
        pathlib.Path("/work/plan").write_text("plan")
    elif step == "build":
        build(script)
        seen = [name for name in ("/registry", "/git", "/var/run/secrets/kubernetes.io") if pathlib.Path(name).exists()]
        tell("log", text=f"build sees {seen} of what is secret")
    elif step == "push":
        tell("phase", phase="pushing", message="Pushing")
        if "made" in script:
            assert answers(script["made"])
        if "untried" in script:
            tell("phase", made=True, message="Trying")
            end(untried={"environment": ""})
    elif script.get("untried"):
        end(error=script["untried"])
    end()


main(sys.argv[1])

"""An executor in plain Python: it speaks Mesos' v1 executor API as JSON over HTTP.

A task runs until it is killed, or until its framework says "finish TASK", or TASK is written to
the file "finish" in the sandbox. What happens is written to the file "log".
"""

import base64
import http.client
import json
import os
import threading
import time
import uuid

ENDPOINT = os.environ["MESOS_AGENT_ENDPOINT"]
IDS = {
    "framework_id": {"value": os.environ["MESOS_FRAMEWORK_ID"]},
    "executor_id": {"value": os.environ["MESOS_EXECUTOR_ID"]},
}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}

lock = threading.RLock()
tasks = {}  # without an acknowledged update
updates = {}  # without acknowledgement, by uuid
running = set()


def log(line):
    with open("log", "a", encoding="utf-8") as file:
        file.write(line + "\n")


def post(call):
    connection = http.client.HTTPConnection(ENDPOINT, timeout=30)
    connection.request("POST", "/api/v1/executor", json.dumps({**IDS, **call}), HEADERS)
    return connection.getresponse()


def update(task, state):
    with lock:
        key = base64.b64encode(uuid.uuid4().bytes).decode()
        status = {
            "task_id": {"value": task},
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "uuid": key,
            "timestamp": time.time(),
        }
        updates[key] = {"status": status}
        log(f"{state} {task}")
        try:
            post({"type": "UPDATE", "update": {"status": status}}).read()
        except OSError:
            pass  # said again with the next subscription


def end(task, state):
    with lock:
        if task in running:
            running.discard(task)
            update(task, state)


def hear(event):
    kind = event["type"]
    if kind == "SUBSCRIBED":
        with open("subscribed", "w", encoding="utf-8") as file:
            json.dump([event, dict(os.environ)], file)
        log("subscribed")
    elif kind == "LAUNCH":
        task = event["launch"]["task"]
        with lock:
            tasks[task["task_id"]["value"]] = task
            running.add(task["task_id"]["value"])
            update(task["task_id"]["value"], "TASK_RUNNING")
    elif kind == "KILL":
        end(event["kill"]["task_id"]["value"], "TASK_KILLED")
    elif kind == "ACKNOWLEDGED":
        with lock:
            updates.pop(event["acknowledged"]["uuid"], None)
            tasks.pop(event["acknowledged"]["task_id"]["value"], None)
    elif kind == "MESSAGE":
        text = base64.b64decode(event["message"]["data"]).decode()
        data = base64.b64encode(b"heard: " + text.encode()).decode()
        post({"type": "MESSAGE", "message": {"data": data}}).read()
        if text.startswith("finish "):
            end(text[len("finish "):], "TASK_FINISHED")
    elif kind == "SHUTDOWN":
        for task in sorted(running):
            end(task, "TASK_KILLED")
        os._exit(0)


def records(stream):
    while True:
        length = stream.readline()
        if not length:
            return
        yield json.loads(stream.read(int(length)))


def subscribe():
    with lock:
        call = {
            "type": "SUBSCRIBE",
            "subscribe": {
                "unacknowledged_tasks": list(tasks.values()),
                "unacknowledged_updates": list(updates.values()),
            },
        }
    connection = http.client.HTTPConnection(ENDPOINT)
    connection.request("POST", "/api/v1/executor", json.dumps({**IDS, **call}), HEADERS)
    answer = connection.getresponse()
    if answer.status == 200:
        for event in records(answer):
            hear(event)


def watch():
    while True:
        time.sleep(0.05)
        try:
            with open("finish", encoding="utf-8") as file:
                end(file.read().strip(), "TASK_FINISHED")
        except OSError:
            pass


threading.Thread(target=watch, daemon=True).start()
while True:
    try:
        subscribe()
    except (OSError, http.client.HTTPException):
        pass
    time.sleep(0.2)

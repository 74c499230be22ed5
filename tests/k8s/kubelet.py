"""The part of a kubelet that podman lacks: volumes that change under running containers, probes, hooks, the order of the
end.

Guarantees: what is played is what the overlay renders; a projected volume is exchanged as a kubelet does it, by one
rename of `..data`; all that was made is gone when the pod is closed.
Does not know: what runs in the pod.

Podman 4.3 knows no native sidecars, probes only by way of systemd, and no projected volumes: these three are taken
out of what it plays and done here. A native sidecar is played as a container that is started before the others, and
told to end after them.
"""

import copy
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

# runc, as crun refuses hybrid cgroups; limits that need no right to raise them.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def run(*command, check=True, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, seconds, found):
    by = time.monotonic() + seconds
    while time.monotonic() < by:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


class Claims:
    """Volumes that outlive pods."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="portcullis-claims-"))
        self.folder.chmod(0o711)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def place(self, claim, group):
        place = self.folder / claim
        if not place.exists():
            place.mkdir()
            # What a kubelet does for fsGroup.
            os.chown(place, -1, group)
            place.chmod(0o2775)
        return place


class Pod:
    """A pod of a rendered Deployment or StatefulSet, with Secrets, claims and further variables of the test."""

    def __init__(self, objects, workload, claims, secrets, variables=None):
        self.folder = Path(tempfile.mkdtemp(prefix="portcullis-pod-"))
        # The process in the container is nobody of this machine.
        self.folder.chmod(0o711)
        conf = self.folder / "containers.conf"
        conf.write_text(CONTAINERS_CONF)
        self.environment = os.environ | {"CONTAINERS_CONF": str(conf)}
        self.name = self.folder.name
        self.configs = {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
        self.secrets, self.claims, self.variables = secrets, claims, variables or {}
        kind, name = workload.split("/")
        [found] = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
        self.spec = copy.deepcopy(found["spec"]["template"]["spec"])
        self.spec["volumes"] += [
            {"name": (of := template["metadata"]["name"]), "persistentVolumeClaim": {"claimName": f"{of}-{name}-0"}}
            for template in found["spec"].get("volumeClaimTemplates", [])
        ]
        # In the order in which they start.
        self.sidecars = [one for one in self.spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
        assert self.sidecars == self.spec.get("initContainers", []), "nothing waits here for init containers"
        self.containers = self.sidecars + self.spec["containers"]
        self.ports, self.times = {}, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.podman("pod", "rm", "--force", "--time", 0, self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def podman(self, *words, **more):
        return run("podman", *words, env=self.environment, **more)

    def container(self, name):
        return f"{self.name}-{name}"

    def play(self):
        played = self.folder / "pod.yaml"
        played.write_text(yaml.safe_dump(self.manifest()))
        # With this machine at 10.0.2.2, in the place of the cluster's other addresses.
        self.podman("kube", "play", "--start=false", "--network", "slirp4netns:allow_host_loopback=true", played)
        for container in self.containers:
            self.podman("start", self.container(container["name"]))
            if container in self.sidecars:
                self.started(container)
        for container in self.spec["containers"]:
            self.started(container)

    def started(self, container):
        if "startupProbe" in container:
            until(f"{container['name']} to start", 60, lambda: self.probe(container, "startupProbe"))

    def manifest(self):
        spec = copy.deepcopy(self.spec)
        spec["containers"] = copy.deepcopy(self.containers)
        # A container that ends well is one that was told to: those a kubelet does not start again at the pod's end.
        spec["restartPolicy"] = "OnFailure"
        for container in spec["containers"]:
            for taken in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "restartPolicy"):
                container.pop(taken, None)
            if container["name"] == "portcullis":
                others = [one for one in container["env"] if one["name"] not in self.variables]
                container["env"] = others + [{"name": n, "value": v} for n, v in self.variables.items()]
            for port in container.get("ports", []):
                port["hostIP"], port["hostPort"] = "127.0.0.1", self.ports.setdefault(port["name"], free_port())
        spec["volumes"] = [self.volume(volume) for volume in spec.get("volumes", [])]
        spec.pop("initContainers", None)
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name}, "spec": spec}

    def volume(self, volume):
        if "projected" in volume:
            place = self.folder / volume["name"]
            place.mkdir(exist_ok=True)
            self.project(volume["name"])
        else:
            claim = volume["persistentVolumeClaim"]["claimName"]
            place = self.claims.place(claim, self.spec["securityContext"]["fsGroup"])
        return {"name": volume["name"], "hostPath": {"path": str(place), "type": "Directory"}}

    def project(self, name):
        """Puts the volume's files there, or new ones in the place of those that are there."""
        [volume] = [v for v in self.spec["volumes"] if v["name"] == name]
        files, mode = {}, volume["projected"]["defaultMode"]
        for source in volume["projected"]["sources"]:
            [(kind, of)] = source.items()
            data = (self.configs if kind == "configMap" else self.secrets).get(of["name"])
            if data is None:
                assert of.get("optional"), f"there is no {kind} {of['name']}"
                continue
            items = of.get("items") or [{"key": key, "path": key} for key in data]
            files |= {item["path"]: data[item["key"]] for item in items}
        place, self.times = self.folder / name, self.times + 1
        fresh = place / f"..{self.times}"
        fresh.mkdir()
        for path, text in files.items():
            file = fresh / path
            file.write_text(text)
            os.chown(file, -1, self.spec["securityContext"]["fsGroup"])
            file.chmod(mode)
            if not (place / path).is_symlink():
                (place / path).symlink_to(f"..data/{path}")
        (place / "..data_tmp").symlink_to(fresh.name)
        (place / "..data_tmp").rename(place / "..data")

    def probe(self, container, which):
        [(kind, of)] = [(k, v) for k, v in container[which].items() if k == "httpGet"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[of['port']]}{of['path']}", timeout=1) as answer:
                return 200 <= answer.status < 400
        except (urllib.error.URLError, OSError):
            return False

    def execute(self, name, *command):
        return self.podman("exec", self.container(name), *command, check=False)

    def inspect(self, name):
        return json.loads(self.podman("inspect", self.container(name)).stdout)[0]

    def process(self, name):
        return self.inspect(name)["State"]["Pid"]

    def kill(self, name):
        """As the kernel kills what has used too much memory."""
        before = self.process(name)
        os.kill(before, 9)
        until(f"{name} to be started again", 30, lambda: self.process(name) not in (0, before))
        [container] = [one for one in self.containers if one["name"] == name]
        until(f"{name} to be well", 30, lambda: self.probe(container, "readinessProbe"))

    def end(self):
        """Ends the pod as a kubelet does: all hooks at once, TERM for each when its hook is over (for a sidecar when all
        others have ended, too), KILL when grace is. Returns after how many seconds each container had ended, and with
        what code."""
        began, grace, ended = time.monotonic(), self.spec["terminationGracePeriodSeconds"], {}

        def end(container):
            name = container["name"]
            hook = container.get("lifecycle", {}).get("preStop", {})
            if "sleep" in hook:
                time.sleep(hook["sleep"]["seconds"])
            elif "exec" in hook:
                left = grace - (time.monotonic() - began)
                try:
                    self.podman("exec", self.container(name), *hook["exec"]["command"], check=False, timeout=left)
                except subprocess.TimeoutExpired:
                    pass
            if container in self.sidecars:
                others = {other["name"] for other in self.spec["containers"]}
                while not others <= ended.keys() and self.inspect(name)["State"]["Status"] == "running":
                    time.sleep(0.1)
            left = max(1, int(grace - (time.monotonic() - began)))
            self.podman("stop", "--time", left, self.container(name), check=False)
            state = until(f"{name} to end", 10, lambda: (s := self.inspect(name)["State"])["Status"] == "exited" and s)
            ended[name] = (time.monotonic() - began, state["ExitCode"])

        threads = [threading.Thread(target=end, args=[container]) for container in self.containers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ended

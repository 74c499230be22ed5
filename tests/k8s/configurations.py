"""What the manifests' configurations mean to the real binary, and whether the pods that it is in agree with them.

Guarantees: the binary is asked itself, with the variables that the container would have.
Does not know: how manifests come about.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def gate(spec):
    return next((one for one in containers(spec) if one["name"] == "portcullis"), None)


def seconds(duration):
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)([smh])", duration))


def hook_seconds(container):
    hook = container.get("lifecycle", {}).get("preStop", {})
    if "sleep" in hook:
        return hook["sleep"]["seconds"]
    command = hook.get("exec", {}).get("command")
    return int(command[-1]) if command else 0


class Binary:
    def __init__(self, path):
        self.path, self.skipped = Path(path).resolve(), set()

    def run(self, verb, folder, settings, environment):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PORTCULLIS_")}
        return subprocess.run([self.path, verb, "--config", "config.toml", *settings], cwd=folder, capture_output=True,
                              text=True, env=inherited | environment)

    def configuration(self, overlay, one, container, text):
        """Whether it accepts what the container would be started with, and the values that then are in effect."""
        environment = {variable["name"]: variable["value"] for variable in container["env"]}
        del environment["PORTCULLIS_CONFIG"]
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "config.toml").write_text(text, encoding="utf-8")
            tls = {name for name in environment if name.startswith("PORTCULLIS_TLS__")}
            if tls and "\n[tls]" not in self.run("config", folder, [], {}).stdout:
                self.skipped.add(f"{overlay.path}: this portcullis knows no [tls] yet: checked without")
                environment = {name: value for name, value in environment.items() if name not in tls}
            elif tls:
                certificate(folder)
                environment |= {name: environment[name].replace("/etc/portcullis-tls", folder) for name in tls}
            # What is in the claim is not here.
            checked = self.run("check", folder, ["--data-dir", "data"], environment)
            overlay.require(checked.returncode == 0, one, f"portcullis check: {checked.stdout}{checked.stderr}")
            return effective(self.run("config", folder, [], environment).stdout)


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=gate", "-addext", "subjectAltName=DNS:gate", "-days", "2",
                    "-keyout", "tls.key", "-out", "tls.crt"], cwd=folder, check=True, capture_output=True)


def effective(text):
    section, found = "", {}
    for line in text.splitlines():
        if header := re.match(r"\[([a-z.]+)\]", line):
            section = header[1] + "."
        elif setting := re.match(r'([a-z_]+) = "?([^"#]*)', line):
            found[section + setting[1]] = setting[2].strip()
    return found


def configurations(overlay, binary):
    for one, pod in overlay.pods():
        container = gate(pod["spec"])
        if not container:
            continue
        [settings] = [v["projected"] for v in pod["spec"]["volumes"] if v["name"] == "portcullis-settings"]
        [name] = [source["configMap"]["name"] for source in settings["sources"] if "configMap" in source]
        text = overlay.named("ConfigMap", name)["data"]["config.toml"]
        found = binary.configuration(overlay, one, container, text)
        ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        overlay.require(found.get("server.listen") == f"0.0.0.0:{ports['gate']}", one, "server.listen is not the port")
        overlay.require(found.get("admin.listen") == f"0.0.0.0:{ports['gate-admin']}", one, "admin.listen is not the port")
        overlay.require(found.get("data_dir") in mounts, one, "data_dir is no volume")
        overlay.require(found.get("users.file") == "/etc/portcullis/users.toml", one, "users.file is not where it is put")
        if found.get("store.kind") in ("replica", "redis"):
            overlay.require(seconds(found["token.retry_window"]) >= 10, one, "pods come and go, and no retry_window")
        drained = hook_seconds(container) + seconds(found.get("server.drain_timeout", "0s"))
        grace = pod["spec"]["terminationGracePeriodSeconds"]
        overlay.require(drained + 5 <= grace, one, f"{drained} s to drain do not fit into {grace} s")
        # The gate ends before the app does. Its hook starts draining itself, so the app's has to outlast both.
        apps = [other for other in pod["spec"]["containers"] if other["name"] in ("app", "web")]
        for app in apps:
            overlay.require(drained <= hook_seconds(app) < grace, one, f"{app['name']} does not outlast the gate")

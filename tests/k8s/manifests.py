#!/usr/bin/env python3
"""Holds the manifests to what they claim, without a cluster.

    manifests.py --binary portcullis --kubectl kubectl [--crds FOLDER-WITH-NODE_MODULES]

Guarantees: every overlay renders; every object fits the schemas of three Kubernetes versions, strictly; every pod
meets Pod Security "restricted"; names of one object that stand in another are there; the times of an end fit into
each other; the real binary accepts every configuration. All complaints are told at once.
Does not know: a cluster.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml
from configurations import Binary, configurations, containers, gate

ROOT = Path(__file__).resolve().parents[2]
RECENT, OLD = ("1.30.0", "1.33.0", "1.37.0"), ("1.25.0", "1.28.0", "1.37.0")
# What each is for; an overlay that is not named here fails.
RENDERED = {
    "k8s/base": RECENT,
    "k8s/upstream": RECENT,
    "k8s/overlays/edge": RECENT,
    "k8s/overlays/redis": RECENT,
    "k8s/overlays/sidecar": ("1.29.0", "1.33.0", "1.37.0"),
    "k8s/overlays/sidecar-plain": OLD,
    "k8s/overlays/sidecar-replicas": RECENT,
    "k8s/overlays/single": RECENT,
    "k8s/overlays/tls": RECENT,
    "tests/k8s/injected": RECENT,
    "tests/k8s/monitored": RECENT,
}
# Who applies the manifests makes these.
SECRETS = {"portcullis-users", "portcullis-upstream", "portcullis-keys", "portcullis-tls", "portcullis-redis",
           "portcullis-redis-ca"}
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
WORKLOADS = {"Deployment", "StatefulSet"}
CRDS = "monitoring.coreos.com/v1"


class Overlay:
    """What an overlay renders to, and what was found wrong with it."""

    def __init__(self, path, objects, complaints):
        self.path, self.objects, self.complaints = path, objects, complaints

    def of(self, *kinds):
        return [one for one in self.objects if one["kind"] in kinds]

    def pods(self):
        return [(one, one["spec"]["template"]) for one in self.of(*WORKLOADS)]

    def selected(self, labels):
        return [pod for _, pod in self.pods() if labels.items() <= pod["metadata"]["labels"].items()]

    def named(self, kind, name):
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    def require(self, holds, one, what):
        if not holds:
            self.complaints.append(f"{self.path}: {one['kind']} {one['metadata']['name']}: {what}")


def schemas(overlay, versions):
    for one in overlay.objects:
        if one["apiVersion"] == CRDS:
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                place = ".".join(map(str, error.path))
                overlay.require(False, one, f"Kubernetes {version}: {place}: {error.message}")


def restricted(overlay):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and what is ours beyond it."""
    for one, pod in overlay.pods():
        spec = pod["spec"]
        whole = spec.get("securityContext", {})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            overlay.require(not spec.get(key), one, key)
        overlay.require(not whole.get("sysctls"), one, "sysctls")
        overlay.require(spec.get("enableServiceLinks") is False, one, "enableServiceLinks")
        for volume in spec.get("volumes", []):
            overlay.require(set(volume) - {"name"} <= VOLUMES, one, f"volume {volume['name']}")
        for container in containers(spec):
            own, name = container.get("securityContext", {}), container["name"]
            effective = whole | own
            need = {
                "runAsNonRoot": effective.get("runAsNonRoot") is True,
                "runAsUser": effective.get("runAsUser") not in (None, 0),
                "seccompProfile": effective.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
                "privileged": not own.get("privileged"),
                "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
                "capabilities.drop": own.get("capabilities", {}).get("drop") == ["ALL"],
                "capabilities.add": set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
                "procMount": own.get("procMount", "Default") == "Default",
                "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
                "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
            }
            for rule, holds in need.items():
                overlay.require(holds, one, f"container {name}: {rule}")
            # Neither a Secret nor a ConfigMap would be followed.
            overlay.require(not any("subPath" in m for m in container.get("volumeMounts", [])), one, f"{name}: subPath")


def references(overlay):
    for one, pod in overlay.pods():
        spec, labels = pod["spec"], pod["metadata"]["labels"]
        overlay.require(one["spec"]["selector"]["matchLabels"].items() <= labels.items(), one, "selects other pods")
        claims = [template["metadata"]["name"] for template in one["spec"].get("volumeClaimTemplates", [])]
        volumes = [volume["name"] for volume in spec.get("volumes", [])] + claims
        overlay.require(len(volumes) == len(set(volumes)), one, "two volumes of one name")
        for container in containers(spec):
            for mount in container.get("volumeMounts", []):
                overlay.require(mount["name"] in volumes, one, f"there is no volume {mount['name']}")
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                overlay.require(port is None or port in ports, one, f"{probe}: there is no port {port}")
        for volume in spec.get("volumes", []):
            sources = volume.get("projected", {}).get("sources", [])
            for name in [s["configMap"]["name"] for s in sources if "configMap" in s]:
                overlay.require(overlay.named("ConfigMap", name), one, f"there is no ConfigMap {name}")
            secrets = [s["secret"]["name"] for s in sources if "secret" in s]
            secrets += [volume["secret"]["secretName"]] if "secret" in volume else []
            overlay.require(set(secrets) <= SECRETS, one, f"an unknown Secret among {secrets}")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            templates = [f"{template['metadata']['name']}-{other['metadata']['name']}-0"
                         for other in overlay.of("StatefulSet") for template in other["spec"]["volumeClaimTemplates"]]
            there = claim is None or overlay.named("PersistentVolumeClaim", claim) or claim in templates
            overlay.require(there, one, f"there is no claim {claim}")
    ports = lambda pods: {port["name"] for pod in pods for c in containers(pod["spec"]) for port in c.get("ports", [])}
    for one in overlay.of("Service"):
        pods = overlay.selected(one["spec"]["selector"])
        overlay.require(pods, one, "selects no pod")
        for port in one["spec"]["ports"]:
            overlay.require(port["targetPort"] in ports(pods), one, f"no pod has the port {port['targetPort']}")
    for one in overlay.of("NetworkPolicy"):
        pods = overlay.selected(one["spec"]["podSelector"]["matchLabels"])
        overlay.require(pods or overlay.path == "k8s/upstream", one, "selects no pod")
        for rule in one["spec"].get("ingress", []):
            for port in rule["ports"]:
                known = isinstance(port["port"], int) or port["port"] in ports(pods)
                overlay.require(known, one, f"no pod has the port {port['port']}")
    for one in overlay.of("HorizontalPodAutoscaler"):
        target = one["spec"]["scaleTargetRef"]
        scaled = overlay.named(target["kind"], target["name"])
        overlay.require(scaled and "replicas" not in scaled["spec"], one, "what it scales is not there, or says how many")
    for one in overlay.of("PodDisruptionBudget"):
        overlay.require(overlay.selected(one["spec"]["selector"]["matchLabels"]), one, "selects no pod")
    for one in overlay.of("ServiceMonitor"):
        wanted = one["spec"]["selector"]["matchLabels"].items()
        services = [s for s in overlay.of("Service") if wanted <= s["metadata"]["labels"].items()]
        named = {port["name"] for service in services for port in service["spec"]["ports"]}
        overlay.require({e["port"] for e in one["spec"]["endpoints"]} <= named, one, "finds no such Service or port")
    for one in overlay.of("PodMonitor"):
        named = ports(overlay.selected(one["spec"]["selector"]["matchLabels"]))
        overlay.require({e["port"] for e in one["spec"]["podMetricsEndpoints"]} <= named, one, "finds no such pod or port")


def writers(overlay):
    """Two gates never write to one claim, and a replica cannot. Those whose sessions are elsewhere share their keys."""
    for one, pod in overlay.pods():
        container = gate(pod["spec"])
        if not container:
            continue
        environment = {variable["name"]: variable["value"] for variable in container["env"]}
        replica = environment.get("PORTCULLIS_STORE__KIND") == "replica"
        [mount] = [m for m in container["volumeMounts"] if m["mountPath"] == "/var/lib/portcullis"]
        overlay.require(mount.get("readOnly", False) == replica, one, "a replica reads only, a writer writes")
        if replica:
            primary = environment["PORTCULLIS_STORE__PRIMARY_URL"]
            name, port = re.fullmatch(r"http://([a-z-]+):(\d+)", primary).groups()
            service = overlay.named("Service", name)
            there = service and int(port) in [p["port"] for p in service["spec"]["ports"]]
            overlay.require(there, one, f"there is no {primary}")
            modes = [t["spec"]["accessModes"] for s in overlay.of("StatefulSet") for t in s["spec"]["volumeClaimTemplates"]]
            overlay.require(modes == [["ReadWriteMany"]], one, "the primary's volume is for one node")
        elif kept_elsewhere(overlay, pod["spec"]):
            [claim] = [v["persistentVolumeClaim"]["claimName"] for v in pod["spec"]["volumes"] if v["name"] == mount["name"]]
            modes = overlay.named("PersistentVolumeClaim", claim)["spec"]["accessModes"]
            overlay.require(modes == ["ReadWriteMany"], one, "the volume of the keys is for one node")
        elif one["kind"] == "Deployment":
            alone = one["spec"].get("replicas", 1) == 1 and one["spec"]["strategy"] == {"type": "Recreate"}
            overlay.require(alone, one, "a writer is one, and ends before the next one begins")
        else:
            overlay.require(one["spec"]["replicas"] == 1, one, "a writer is one")


def kept_elsewhere(overlay, spec):
    [settings] = [v["projected"] for v in spec["volumes"] if v["name"] == "portcullis-settings"]
    [name] = [source["configMap"]["name"] for source in settings["sources"] if "configMap" in source]
    return tomllib.loads(overlay.named("ConfigMap", name)["data"]["config.toml"]).get("store", {}).get("kind") == "redis"


def injection(overlay):
    """The component changes what has the label, and nothing else."""
    if overlay.path != "tests/k8s/injected":
        return
    before = {one["metadata"]["name"]: one for one in
              yaml.safe_load_all((ROOT / overlay.path / "deployments.yaml").read_text(encoding="utf-8"))}
    for one, pod in overlay.pods():
        name, spec = one["metadata"]["name"], pod["spec"]
        was = before[name]["spec"]["template"]["spec"]
        if name == "untouched":
            overlay.require(spec == was, one, "was changed without the label")
            continue
        overlay.require(spec["initContainers"][0]["name"] == "portcullis", one, "the gate is not the first to start")
        overlay.require(spec["initContainers"][1:] == was.get("initContainers", []), one, "init containers were changed")
        overlay.require(spec["containers"] == was["containers"], one, "containers were changed")
        kept = [volume for volume in spec["volumes"] if not volume["name"].startswith("portcullis-")]
        overlay.require(kept == was.get("volumes", []), one, "volumes were changed")


def crds(overlay, folder):
    objects = [one for one in overlay.objects if one["apiVersion"] == CRDS]
    if objects and folder:
        done = subprocess.run(["node", ROOT / "tests/k8s/crds.mjs"], cwd=folder, input=json.dumps(objects), text=True,
                              capture_output=True, check=True)
        overlay.complaints += [f"{overlay.path}: {line}" for line in done.stdout.splitlines()]
    return len(objects)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--kubectl", required=True)
    parser.add_argument("--crds", help="the folder with node_modules; without it these objects are not looked at")
    arguments = parser.parse_args()
    there = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("k8s/**/kustomization.yaml")}
    components = {path for path in there if path.startswith(("k8s/components/", "k8s/sample"))}
    complaints = [f"{path}: in nobody's list" for path in sorted(there - components - set(RENDERED))]
    binary, objects, foreign = Binary(arguments.binary), 0, 0
    for path, versions in RENDERED.items():
        rendered = subprocess.run([arguments.kubectl, "kustomize", ROOT / path], capture_output=True, text=True)
        if rendered.returncode:
            complaints.append(f"{path}: {rendered.stderr}")
            continue
        overlay = Overlay(path, list(yaml.safe_load_all(rendered.stdout)), complaints)
        objects += len(overlay.objects)
        schemas(overlay, versions)
        restricted(overlay)
        references(overlay)
        writers(overlay)
        configurations(overlay, binary)
        injection(overlay)
        foreign += crds(overlay, arguments.crds)
    for line in sorted(binary.skipped):
        print(f"note: {line}")
    for line in complaints:
        print(line, file=sys.stderr)
    how = "against their published schemas" if arguments.crds else "not looked at"
    print(f"{len(RENDERED)} overlays, {objects} objects, {foreign} of them of the Prometheus operator ({how}), "
          f"{len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

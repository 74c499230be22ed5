#!/usr/bin/env python3
"""Prints what the binary is made of: a CycloneDX 1.6 document of the crates that Cargo.lock and the target settle.

Guarantees: whatever is linked in stands there, the static C library and Rust's own included; crates that only build it
are marked as such; the same checkout and tools give the same document.
Does not know: advisories (`cargo deny` does).
"""

import json
import platform
import re
import subprocess
import sys
import uuid


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def crates(target):
    """Every crate that the binary needs, with its node of the graph; and the names of those that are linked in."""
    text = output("cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}")
    metadata = json.loads(text)
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]

    def reached(kinds):
        found, waiting = set(), [root]
        while waiting:
            one = waiting.pop()
            if one in found:
                continue
            found.add(one)
            for dependency in nodes[one]["deps"]:
                if any(kind["kind"] in kinds for kind in dependency["dep_kinds"]):
                    waiting.append(dependency["pkg"])
        return found

    packages = {package["id"]: package for package in metadata["packages"]}
    linked, needed = reached({None}), reached({None, "build"})
    macros = {id for id in linked if any("proc-macro" in target["kind"] for target in packages[id]["targets"])}
    return root, packages, nodes, needed, linked - macros


def checksums():
    """What Cargo.lock says of each crate's archive."""
    with open("Cargo.lock", encoding="utf-8") as lock:
        entries = lock.read().split("[[package]]")
    found = {}
    for entry in entries:
        fields = dict(re.findall(r'^(name|version|checksum) = "(.*)"$', entry, re.M))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def component(package, reference, linked, sums):
    name, version = package["name"], package["version"]
    described = {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
        "scope": "required" if linked else "excluded",
    }
    if package["license"]:
        # Of old, a slash stood for OR.
        described["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]
    if (name, version) in sums:
        described["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
    return described


def tools():
    """What no lock file has: Rust's own library, and the C library of the machine that links."""
    rust = re.search(r"^release: (.*)$", output("rustc", "-vV"), re.M)[1]
    library, version = platform.libc_ver()
    yield {"type": "library", "bom-ref": f"pkg:generic/rust-std@{rust}", "name": "rust-std", "version": rust,
           "purl": f"pkg:generic/rust-std@{rust}", "scope": "required",
           "licenses": [{"expression": "MIT OR Apache-2.0"}]}
    yield {"type": "library", "bom-ref": f"pkg:generic/{library}@{version}", "name": library, "version": version,
           "purl": f"pkg:generic/{library}@{version}", "scope": "required",
           "licenses": [{"expression": "LGPL-2.1-or-later"}]}


def main(target):
    root, packages, nodes, needed, linked = crates(target)
    reference = {id: f"pkg:cargo/{packages[id]['name']}@{packages[id]['version']}" for id in needed}
    sums, further = checksums(), list(tools())
    ours = component(packages[root], reference[root], True, sums) | {"type": "application"}
    del ours["scope"]
    parts = [component(packages[id], reference[id], id in linked, sums) for id in needed - {root}] + further
    graph = [
        {"ref": reference[id],
         "dependsOn": sorted({reference[d] for d in nodes[id]["dependencies"] if d in needed}
                             | ({part["bom-ref"] for part in further} if id == root else set()))}
        for id in needed
    ]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": ours},
        "components": sorted(parts, key=lambda part: part["bom-ref"]),
        "dependencies": sorted(graph, key=lambda node: node["ref"]),
    }
    name = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{name}"
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1])

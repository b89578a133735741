"""What images are said to hold is what their lock files install, and they run with as few rights as they need."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from pipelines._entry import load_settings

ROOT = Path(__file__).resolve().parents[1]


def load() -> ModuleType:
    """The script that has no ending."""
    loader = importlib.machinery.SourceFileLoader("sbom", str(ROOT / ".ci" / "sbom"))
    spec = importlib.util.spec_from_loader("sbom", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


sbom = load()


@pytest.mark.parametrize("image", sbom.IMAGES)
def test_a_bill_lists_what_the_lock_file_installs_and_names_no_host(image: str) -> None:
    lock = (ROOT / sbom.IMAGES[image]).read_text()
    found = sbom.bill(image, "1.2.3", lock, {("numpy", sbom.locked(lock)["numpy"][0]): [{"license": {"id": "X"}}]})
    pins = re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$", lock, re.MULTILINE)
    others = {(name, version) for name, version, marker in pins if "sys_platform == 'darwin'" in marker}
    others |= {(name, version) for name, version, marker in pins if "sys_platform == 'win32'" in marker}
    components = {(one["name"], one["version"]): one for one in found["components"]}
    assert set(components) == {(name, version) for name, version, _ in pins} - others
    # Each package with its own files, all of them, under the name that scanners look it up by.
    entries = {entry.partition("==")[0]: entry for entry in re.split(r"\n(?=[\w.-]+==)", lock) if "==" in entry}
    for (name, pinned), one in components.items():
        (told,) = one["externalReferences"]
        own = set(re.findall(r"--hash=sha256:(\w{64})", entries[name]))
        assert {(entry["alg"], entry["content"]) for entry in told["hashes"]} == {("SHA-256", each) for each in own}
        assert own, name
        assert one["purl"] == one["bom-ref"] == told["url"] == f"pkg:pypi/{name}@{pinned}"
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert {found["metadata"]["component"][name] for name in ("name", "version")} == {image, "1.2.3"}
    assert [name for (name, _), one in components.items() if "licenses" in one] == ["numpy"]
    assert found["dependencies"][0]["dependsOn"] == [one["bom-ref"] for one in found["components"]]
    assert "://" not in str(found)


def test_images_carry_their_bill() -> None:
    for image, file in (("spanishgas-serving", "Dockerfile"), ("spanishgas-pipelines", "Dockerfile.train")):
        text = (ROOT / file).read_text()
        assert f"COPY sbom/{image} /usr/share/doc/spanishgas/sbom\n" in text
        assert (ROOT / "sbom" / image).is_dir()
        assert sbom.IMAGES[image] in text
    assert "!sbom" in (ROOT / ".dockerignore").read_text().splitlines()


def test_every_service_of_the_compose_file_has_as_few_rights_as_it_needs() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert len(services) > 4
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ())), name


def steps_of(file: str) -> list[str]:
    """Instructions of a Dockerfile, each on one line; those of its last part only."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", (ROOT / file).read_text(), flags=re.MULTILINE))
    steps = [line for line in text.splitlines() if line.strip()]
    last = max(place for place, line in enumerate(steps) if line.startswith("FROM "))
    return steps[last:]


@pytest.mark.parametrize("file", ["Dockerfile", "Dockerfile.train"])
def test_an_image_ends_without_package_managers_and_runs_as_nobody_in_particular(file: str) -> None:
    steps = steps_of(file)
    runs = [line for line in steps if line.startswith("RUN ")]
    assert len(runs) == 1  # whatever else is installed there would have to be looked at
    for gone in ("/usr/local/bin/pip*", "/usr/bin/apt*", "/usr/bin/dpkg*", "/usr/bin/perl*", "ensurepip"):
        assert gone in runs[0].partition("rm -rf ")[2], gone
    assert runs[0].endswith("find / -xdev -type f -perm /6000 -exec chmod a-s {} +")
    assert not re.search(r"apt-get|pip install|curl|wget", runs[0])
    users = [line for line in steps if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    # Nothing is written as that user but by the process, and no shell stands between it and signals.
    after = steps[steps.index(users[0]) + 1 :]
    assert not [line for line in after if line.startswith(("RUN ", "COPY ", "ADD "))]
    started = [line.partition("[")[1] for line in after if line.startswith(("ENTRYPOINT ", "CMD ", "HEALTHCHECK "))]
    assert started
    assert set(started) == {"["}


def test_every_service_of_our_images_runs_as_their_user_and_takes_secrets_from_the_environment() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert services["database"]["user"] == "postgres"
    for name, service in services.items():
        assert "privileged" not in service, name
        # Those of other makers are told whose rights they have; ours say it themselves.
        assert ("user" in service) == (not str(service["image"]).startswith("spanishgas-")), name
        assert not any("PASSWORD" in str(word) for word in service.get("command", ())), name
        secrets = {key: value for key, value in service.get("environment", {}).items() if "TOKEN" in key}
        assert all(str(value).startswith("${") for value in secrets.values()), name
        for volume in service.get("volumes", ()):
            assert "docker.sock" not in volume
            assert not volume.startswith(("/", ".")), name


def test_the_profile_spark_is_a_cluster_that_shares_a_folder_and_no_secret() -> None:
    told = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = {name: one for name, one in told["services"].items() if one.get("profiles") == ["spark"]}
    workers = {name for name in services if name.startswith("spark-worker")}
    assert set(services) == workers | {"storage", "bucket", "spark-master", "spark-demo"}
    assert len(workers) == 2
    demo = services["spark-demo"]
    # Copies of the tables, and what is in the making, lie where driver and workers see the same.
    (shared,) = demo["volumes"]
    assert shared.split(":") == ["copies", demo["environment"]["SPANISHGAS_CACHE"]]
    assert f" {demo['environment']['SPANISHGAS_CACHE']} " in (ROOT / "Dockerfile.train").read_text()
    assert "copies" in told["volumes"]
    for name in workers:
        assert services[name]["volumes"] == [shared]
        assert not any("AWS" in key for key in services[name]["environment"])
    # Everything is found under the name that it has.
    words = dict(word.split("=", 1) for word in demo["command"][1:])
    address = f"spark://spark-master:{services['spark-master']['command'][4]}"
    assert words["engine.master"] == address
    assert {services[name]["command"][-1] for name in workers} == {address}
    assert f"spark.driver.host={demo['hostname']}" in words["engine.spark"]
    settings = load_settings([*demo["command"][1:]])
    assert (settings.engine.kind, settings.engine.master) == ("spark", address)
    assert str(settings.data.root) == "s3://tables/demo"
    assert demo["environment"]["AWS_ENDPOINT_URL"] == "http://storage:8333"
    assert services["bucket"]["command"][0].startswith("echo 's3.bucket.create -name tables'")


def test_the_image_with_spark_is_that_of_the_pipelines_and_what_its_lock_names() -> None:
    steps = steps_of("Dockerfile.spark")
    assert steps[0] == "FROM ${PIPELINES}"
    assert {line.split()[0] for line in steps} == {"FROM", "COPY", "ENV"}  # user and rights are those of the other
    assert all(line.startswith("COPY --from=build ") for line in steps if line.startswith("COPY"))
    text = (ROOT / "Dockerfile.spark").read_text()
    assert "--require-hashes --no-deps --target /opt/spark -r /build/requirements-spark.lock" in text
    assert "!requirements-spark.lock" in (ROOT / ".dockerignore").read_text().splitlines()
    assert "-f Dockerfile.spark ." in (ROOT / "Makefile").read_text()

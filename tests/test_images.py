"""What images are said to hold is what their lock files install, and they run with as few rights as they need."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

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
    hashes = {entry["content"] for one in found["components"] for entry in one["externalReferences"][0]["hashes"]}
    assert hashes <= set(re.findall(r"--hash=sha256:(\w{64})", lock))
    assert all(one["externalReferences"][0]["hashes"] for one in found["components"])
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

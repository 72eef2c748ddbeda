"""What a released install is made of (CycloneDX): the lock, and what the Console's page carries.

python requirements/sbom.py FILE
"""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements/runtime.lock"
VENDORED = ROOT / "server/seekserve/console/page/vendor/uPlot.iife.min.js"


def locked(page: Path) -> None:
    """The SBOM of the lock alone."""
    words = ["requirements", "--output-reproducible", "--mc-type", "application"]
    words += ["--pyproject", str(ROOT / "pyproject.toml"), "-o", str(page), str(LOCK)]
    quiet = ["-W", "ignore::UserWarning"]
    subprocess.run([sys.executable, *quiet, "-m", "cyclonedx_py", *words], check=True)


def vendored() -> dict[str, Any]:
    """uPlot, by its file; its version stands in the file's first line."""
    script = VENDORED.read_bytes()
    version = script.split(b"(v", 1)[1].split(b")", 1)[0].decode()
    return {
        "bom-ref": f"vendored-uplot-{version}",
        "type": "library",
        "name": "uplot",
        "version": version,
        "purl": f"pkg:npm/uplot@{version}",
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": sha256(script).hexdigest()}],
    }


def main(page: Path) -> None:
    """Raises SystemExit where what was made is no CycloneDX."""
    locked(page)
    bom = json.loads(page.read_text())
    bom["components"].append(vendored())
    text = json.dumps(bom, indent=2) + "\n"
    version = SchemaVersion.from_version(bom["specVersion"])
    if wrong := make_schemabased_validator(OutputFormat.JSON, version).validate_str(text):
        sys.exit(f"{page} is no CycloneDX {bom['specVersion']}: {wrong}")
    page.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

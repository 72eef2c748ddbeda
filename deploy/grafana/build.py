"""Makes the dashboards' JSON of service.py, engine.py, tenants.py and hardware.py, which say what is on them.

python deploy/grafana/build.py [FOLDER] writes dashboards/*.json; tests/watch holds the files to it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import engine
import hardware
import service
import tenants

ALL = (service.PAGE, engine.PAGE, tenants.PAGE, hardware.PAGE)

if __name__ == "__main__":
    folder = Path(*sys.argv[1:2]) if sys.argv[1:] else Path(__file__).parent / "dashboards"
    for page in ALL:
        text = json.dumps(page.json(), indent=1, ensure_ascii=False)
        (folder / f"{page.name}.json").write_text(text + "\n")

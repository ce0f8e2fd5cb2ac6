"""dlt's side of the comparison. Runs in an environment of its own, which has dlt and nothing of ours.

    python dlt_pipeline.py FOLDER DSN ADDRESS RUNS

Reads the list with rest_api, merges it by id into PostgreSQL with the csv loader, dlt's fastest; as often as RUNS says.
Prints a line of JSON for each run: seconds by the wall, of the processor with children, and MB at most.
"""

import json
import resource
import sys
import time
from pathlib import Path

import dlt  # type: ignore[import-not-found]
from dlt.destinations import postgres  # type: ignore[import-not-found]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]


def _processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _read(folder: str, dsn: str, address: str) -> None:
    source = rest_api_source(
        {
            "client": {"base_url": address, "paginator": {"type": "json_link", "next_url_path": "next"}},
            "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
            "resources": [{"name": "notification", "endpoint": {"path": "list", "data_selector": "items"}}],
        }
    )
    pipeline = dlt.pipeline("feed", pipelines_dir=folder, destination=postgres(dsn), dataset_name="feed")
    loaded = pipeline.run(source, loader_file_format="csv")
    loaded.raise_on_failed_jobs()


def main() -> None:
    """Measure, print."""
    folder, dsn, address, runs = sys.argv[1:]
    for _ in range(int(runs)):
        before = time.perf_counter(), _processor_s()
        _read(folder, dsn, address)
        wall, used = time.perf_counter() - before[0], _processor_s() - before[1]
        print(json.dumps({"wall": wall, "client": used, "peak_mb": _peak_mb()}), flush=True)


if __name__ == "__main__":
    main()

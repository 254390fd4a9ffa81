"""What a release is made of, and whether anything in it is known to be vulnerable.

usage: python -m tools.supply sbom FILE | advisories

`sbom` writes a CycloneDX document of the locked packages. `advisories` asks the package index about each locked version (the
index's JSON API carries the advisories of the Python Packaging Advisory Database). Without an answer it goes by what was
answered last, which is kept in requirements/advisories.json with its date, and says so loudly: a check that could not look is
not a check that found nothing. It ends with 1 only when a locked version has an advisory that is not accepted there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "run.txt"
KNOWN = ROOT / "requirements" / "advisories.json"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["sbom"] and len(arguments) == 2:
        return sbom(Path(arguments[1]))
    if arguments == ["advisories"]:
        return advisories()
    print(__doc__, file=sys.stderr)
    return 2


def sbom(path: Path) -> int:
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--pyproject", str(ROOT / "pyproject.toml")]
    return subprocess.run([*command, "--output-reproducible", "-o", str(path), str(LOCK)], check=False).returncode


def locked(text: str) -> dict[str, str]:
    """Name and version of every locked package."""
    return {name.lower(): version for name, version in _PINNED.findall(text)}


def advisories() -> int:
    packages = locked(LOCK.read_text())
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {"checked": "never", "found": {}, "accepted": {}}
    found = asked(packages)
    if found is None:
        loud = f"ADVISORIES NOT CHECKED: the package index does not answer; by what it said on {known['checked']}:"
        print(loud, file=sys.stderr)
        new = sorted(f"{name}=={version}" for name, version in packages.items() if f"{name}=={version}" not in known["found"])
        if new:
            which = "all of them" if len(new) == len(packages) else ", ".join(new)
            print(f"ADVISORIES UNKNOWN for {which}", file=sys.stderr)
        found = {each: ids for each, ids in known["found"].items() if each in {f"{n}=={v}" for n, v in packages.items()}}
    elif os.environ.get("PENSTOCK_REMEMBER"):
        known |= {"checked": datetime.now(UTC).date().isoformat(), "found": found}
        KNOWN.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    bad = judge(found, known["accepted"])
    for each, ids in bad.items():
        print(f"{each} has {', '.join(ids)}: update it, or accept it with a reason in {KNOWN.relative_to(ROOT)}", file=sys.stderr)
    print(f"advisories: {len(packages)} locked packages, {len(bad)} with an advisory that is not accepted")
    return 1 if bad else 0


def judge(found: dict[str, list[str]], accepted: dict[str, str]) -> dict[str, list[str]]:
    """What remains of the advisories when the accepted ones are taken out."""
    left = {each: [one for one in ids if one not in accepted] for each, ids in found.items()}
    return {each: ids for each, ids in left.items() if ids}


def asked(packages: dict[str, str]) -> dict[str, list[str]] | None:
    """The advisories of each package by 'name==version'; None when the index did not answer for all of them."""
    base = index()
    first = next(iter(packages.items()))
    if _ask(base, *first) is None:
        # an index that is silent is silent for all
        return None
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each: _ask(base, *each), packages.items()))
    if any(answer is None for answer in answers):
        return None
    return {f"{name}=={version}": answer or [] for (name, version), answer in zip(packages.items(), answers, strict=True)}


def index() -> str:
    """The index that pip uses on this machine, without its `/simple`."""
    url = os.environ.get("PIP_INDEX_URL") or ""
    if not url:
        done = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True)
        url = done.stdout.strip()
    return re.sub(r"/simple/?$", "", url) or "https://pypi.org"


def _ask(base: str, name: str, version: str) -> list[str] | None:
    try:
        with urllib.request.urlopen(f"{base}/pypi/{name}/{version}/json", timeout=_SECONDS) as answer:
            content = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return None
    found = content.get("vulnerabilities")
    if not isinstance(found, list):
        # an index without advisories: no answer
        return None
    return sorted(str(each.get("id")) for each in found if not each.get("withdrawn"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

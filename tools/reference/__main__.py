"""Write the pages that are made from the code: docs/reference/generated-*.md, the man page, the completion scripts.

usage: python -m tools.reference [--check]      --check changes nothing and exits 1 when a page is not what it should be
"""

from __future__ import annotations

import sys

from tools import reference


def main() -> int:
    stale = [path for path, text in reference.pages().items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(reference.ROOT)} is out of date: make reference")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reference.pages()[path])
        print(f"wrote {path.relative_to(reference.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

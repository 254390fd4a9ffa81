"""A rendered manifest as it is sent to the API server.

In: a manifest of a build. Out: the manifest without what only a server may say (status, creationTimestamp), with a
Secret's stringData in data: the server moves it there, and a field that moves cannot be owned.
"""

from __future__ import annotations

import base64

from penstock.model.resource import Manifest


def normalized(manifest: Manifest) -> Manifest:
    """The manifest to apply; the given one is not changed."""
    result = {key: value for key, value in manifest.items() if key != "status"}
    metadata = dict(result.get("metadata") or {})
    for key in ("creationTimestamp", "managedFields", "resourceVersion", "uid", "generation", "selfLink"):
        metadata.pop(key, None)
    for key in ("labels", "annotations"):
        if key in metadata and not metadata[key]:
            # an empty map and an absent one are the same wish, but not the same set of fields
            del metadata[key]
    result["metadata"] = metadata
    if result.get("apiVersion") == "v1" and result.get("kind") == "Secret" and "stringData" in result:
        plain = result.pop("stringData") or {}
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        result["data"] = {**(result.get("data") or {}), **encoded}
    return result

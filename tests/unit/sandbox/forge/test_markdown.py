"""Pull request text becomes markup in which nothing of the text is active."""

from __future__ import annotations

import pytest

from penstock.sandbox.forge import markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**`web:1.5.0`**", "<p><strong><code>web:1.5.0</code></strong></p>"),
        ("<!-- penstock {} -->\nafter", "<p>after</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("**<img src=x onerror=y>**", "<p><strong>&lt;img src=x onerror=y&gt;</strong></p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("<!-- not closed <b>", "<p>&lt;!-- not closed &lt;b&gt;</p>"),
    ],
)
def test_text_becomes_markup_without_active_parts(text: str, html: str) -> None:
    assert markdown.render(text) == html

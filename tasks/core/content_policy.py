"""The content policy of every page that deepmine writes: only what is named by its hash runs, nothing is loaded."""

import base64
import hashlib
from collections.abc import Iterable


def policy(scripts: Iterable[str], styles: Iterable[str], images: str = "data:") -> str:
    """A Content-Security-Policy that lets these inline ``scripts`` and ``styles`` run, and nothing else.

    Args:
        scripts, styles: the text between the tags, to the character; "" among the styles: those that are empty, and
            empty style attributes.
    """
    styles = list(styles)
    hashes = "'unsafe-hashes' " if "" in styles else ""
    return "; ".join(
        [
            "default-src 'none'", f"script-src {_sources(scripts)}", f"style-src {hashes}{_sources(styles)}",
            f"img-src {images}", f"media-src {images}", "base-uri 'none'", "form-action 'none'",
        ]
    )  # fmt: skip


def policy_tag(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """`policy` as the element that stands first in a page's head."""
    return f'<meta http-equiv="Content-Security-Policy" content="{policy(scripts, styles)}">'


def _sources(texts: Iterable[str]) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{one}'" for one in hashes) or "'none'"

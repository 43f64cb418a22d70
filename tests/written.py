"""Results as a file holds them."""

import json
from typing import Any

from tasks.core.files import encode


def written(result: Any) -> Any:
    """What `write_json` writes of ``result``, read again."""
    return json.loads(encode({"result": result}, ""))["result"]

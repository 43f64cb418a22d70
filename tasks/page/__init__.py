"""The report as one HTML file that asks nothing of the network. Everything a person wrote is escaped by Jinja2."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.page import captions, words

HERE = Path(__file__).parent


def render(**sections: Any) -> str:
    """The whole page; ``sections`` are the values that the templates name.

    Raises:
        jinja2.UndefinedError: a template names a value that is not there.
    """
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS | captions.FILTERS
    # a script block ends at the first "</script", wherever that stands
    own = {
        "css": (HERE / "report.css").read_text(encoding="utf-8"),
        "js": (HERE / "report.js").read_text(encoding="utf-8"),
        "plotly": get_plotlyjs().replace("</script", "<\\/script"),
    }
    inlined = {name: Markup(text) for name, text in own.items()}  # noqa: S704 - our own files, not data
    return environment.get_template("report.html").render(**inlined, **sections)

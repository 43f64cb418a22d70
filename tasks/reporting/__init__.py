"""The report as one HTML file that asks nothing of the network. Everything a person wrote is escaped by Jinja2."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.core.content_policy import policy_tag
from tasks.reporting import captions, formatting

HERE = Path(__file__).parent
MARK = re.compile("<!(policy|css|js|plotly)>")
#: Values of style attributes: nothing that could end a rule or fetch anything.
STYLE = re.compile(r' style="([^"{}<>@\\]*)"')


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
    environment.filters |= formatting.FILTERS | captions.FILTERS
    # places for what is our own; no data can hold one, as it is escaped
    marks = {name: Markup(f"<!{name}>") for name in ("policy", "css", "js", "plotly")}  # noqa: S704
    page, rules = _without_styles(environment.get_template("report.html").render(**marks, **sections))
    # a script block ends at the first "</script", wherever that stands
    own = {
        "css": f"{(HERE / 'report.css').read_text(encoding='utf-8')}\n{rules}",
        "js": (HERE / "report.js").read_text(encoding="utf-8"),
        "plotly": get_plotlyjs().replace("</script", "<\\/script"),
    }
    # Plotly empties styles before it fills them by script, which the policy allows; a style sheet for maps it does not
    own["policy"] = policy_tag([own["plotly"], own["js"]], [own["css"], ""])
    return MARK.sub(lambda found: own[found[1]], page)


def _without_styles(page: str) -> tuple[str, str]:
    """``page`` with the style attributes of the templates as rules of a style sheet, which a policy can name by its hash.

    What a person wrote has no quotes as the templates have them, so it is none of these.
    """
    numbers: dict[str, int] = {}

    def moved(found: "re.Match[str]") -> str:
        return f' data-style="{numbers.setdefault(found[1], len(numbers))}"'

    page = STYLE.sub(moved, page)
    # three times, so that it goes before the classes' own rules as an attribute would
    return page, "\n".join(f'{f"""[data-style="{n}"]""" * 3}{{{css}}}' for css, n in numbers.items())

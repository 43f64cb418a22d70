"""The report as one HTML file that asks nothing of the network. Everything a person wrote is escaped by Jinja2."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.core.content_policy import policy_tag
from tasks.reporting import captions, formatting, sounds
from tasks.reporting.row_cards import Cards
from tasks.reporting.section import Content, Section

HERE = Path(__file__).parent
MARK = re.compile("<!(policy|css|js|plotly)>")
#: Values of style attributes: nothing that could end a rule or fetch anything.
STYLE = re.compile(r' style="([^"{}<>@\\]*)"')


def render(name: str, shown: Sequence[tuple[Section, Content]], cards: Cards) -> str:
    """The whole page.

    Args:
        name: the dataset.
        shown: the sections with their contents, in the order of the page.
        cards: of all rows that the contents name.

    Raises:
        jinja2.UndefinedError: a template names a value that is not there.
    """
    from plotly.offline import get_plotlyjs

    # places for what is our own; no data can hold one, as it is escaped
    marks = {name: Markup(f"<!{name}>") for name in ("policy", "css", "js", "plotly")}  # noqa: S704
    sections = [(section, fragment(section, content, cards)) for section, content in shown]
    environment = _environment(HERE)
    page = environment.get_template("report.html").render(name=name, sections=sections, sounds=cards.sounds, **marks)
    page, rules = _without_styles(page)
    # a script block ends at the first "</script", wherever that stands
    own = {
        "css": f"{(HERE / 'report.css').read_text(encoding='utf-8')}\n{rules}",
        "js": (HERE / "report.js").read_text(encoding="utf-8"),
        "plotly": get_plotlyjs().replace("</script", "<\\/script"),
    }
    # Plotly empties styles before it fills them by script, which the policy allows; a style sheet for maps it does not
    own["policy"] = policy_tag([own["plotly"], own["js"]], [own["css"], ""])
    return MARK.sub(lambda found: own[found[1]], page)


def fragment(section: Section, content: Content, cards: Cards) -> Markup:
    """The HTML of one section."""
    template = _environment(section.folder).get_template(section.template)
    limits = {"rate": sounds.RATE, "most": sounds.MOST}
    # what a template made of escaped values is HTML
    return Markup(template.render(key=section.key, section=content, cards=cards, sound=limits))  # noqa: S704


@cache
def _environment(folder: Path) -> Environment:
    """Templates in ``folder``, which may import the macros that stand here."""
    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = formatting.FILTERS | captions.FILTERS
    environment.filters |= filters
    return environment


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

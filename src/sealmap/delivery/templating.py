"""Templates of QML, QGIS projects and reports. Everything that is filled in is escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """Fill a template of ``delivery/templates``. A name that the template asks for and lacks is an error."""
    environment = Environment(
        loader=PackageLoader("sealmap.delivery"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)

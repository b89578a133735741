"""The OpenAPI description as one plain page: no script, nothing loaded from elsewhere."""

from collections.abc import Mapping
from html import escape
from typing import Any

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}"
    "td,th{border-bottom:1px solid #8884;padding:.3rem .6rem;text-align:left;vertical-align:top}"
)


def page(schema: Mapping[str, Any]) -> str:
    """HTML of an OpenAPI schema: every path with its answers, then every shape with its fields."""
    info = schema["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style>",
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))} ",
        "The same as <a href='/openapi.json'>openapi.json</a>.</p>",
    ]
    # Our own path first, then the protocol's.
    for path, methods in sorted(schema["paths"].items(), key=lambda one: one[0].startswith("/v2")):
        for method, told in methods.items():
            parts.append(f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(told.get('description') or told.get('summary', ''))}</p>")
            body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body:
                parts.append(f"<p>Takes {_kind(body)}.</p>")
            rows = "".join(
                f"<tr><td>{escape(status)}</td><td>{escape(answer.get('description', ''))}</td>"
                f"<td>{_kind(answer.get('content', {}).get('application/json', {}).get('schema', {}))}</td></tr>"
                for status, answer in told.get("responses", {}).items()
            )
            parts.append(f"<table><tr><th>status</th><th>when</th><th>body</th></tr>{rows}</table>")
    parts.append("<h2>Shapes</h2>")
    for name, shape in schema.get("components", {}).get("schemas", {}).items():
        parts.append(f"<h3 id='{escape(name)}'>{escape(name)}</h3><p>{escape(shape.get('description', ''))}</p>")
        needed = shape.get("required", ())
        rows = "".join(
            f"<tr><td><code>{escape(field)}</code>{'' if field in needed else ' (optional)'}</td>"
            f"<td>{_kind(told)}</td><td>{escape(told.get('description', ''))}</td></tr>"
            for field, told in shape.get("properties", {}).items()
        )
        parts.append(f"<table><tr><th>field</th><th>type</th><th>meaning</th></tr>{rows}</table>")
    return "".join(parts)


def _kind(shape: Mapping[str, Any]) -> str:
    if "$ref" in shape:
        name = str(shape["$ref"]).rsplit("/", 1)[-1]
        return f"<a href='#{escape(name)}'>{escape(name)}</a>"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in shape:
            return " or ".join(_kind(one) for one in shape[key])
    if "enum" in shape:
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in shape["enum"])
    if "const" in shape:
        return f"<code>{escape(str(shape['const']))}</code>"
    if shape.get("type") == "array":
        return f"list of {_kind(shape.get('items', {}))}"
    return escape(" ".join(filter(None, (shape.get("type", ""), shape.get("format", "")))))

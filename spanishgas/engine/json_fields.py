"""Fields of JSON records as text, whatever they hold."""

import ibis
import ibis.expr.types as ir


def json_field(record: ir.StringValue, path: str) -> ir.StringValue:
    """The text of one field: of a text as it is, of a number, flag or nested value as it is written; null where absent.

    Args:
        record: JSON objects.
        path: Name of the field, with dots between the names of nested ones.
    """
    node = record.cast("json")
    for key in path.split("."):
        node = node[key]
    written = node.cast("string")
    return ibis.coalesce(node.unwrap_as("string"), ibis.ifelse(written == "null", ibis.null("string"), written))

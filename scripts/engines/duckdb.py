#!/usr/bin/env python3
"""DuckDB as an external engine of slt: `slt run --engine "external:python3 scripts/engines/duckdb.py"`.

Reads JSON objects from standard input, such as {"sql":"SELECT 1"}, and answers each with one on standard output:
{"result":[["1"]]} or {"err":"..."}. If SLT_PROTOCOL is set, it greets first and then speaks the extension, in which
values keep their types and a statement answers with a count. See docs/engines.md. Needs `pip install duckdb`.

Each process has an in-memory database of its own, so that the named connections of one script do not share any.
Dates, lists and whatever else JSON does not have are written as Python writes them.
"""

import codecs
import decimal
import json
import os
import sys

# The name of this file is that of the module that it needs, so its folder must not be searched.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]


def requests(stream):
    """The JSON objects in a stream of bytes: one behind the other, in pieces of any size."""
    text, read_json = "", json.JSONDecoder()
    decode = codecs.getincrementaldecoder("utf-8")().decode
    while piece := stream.read1(65536):
        text += decode(piece)
        while text := text.lstrip():
            try:
                request, end = read_json.raw_decode(text)
            except json.JSONDecodeError:
                break  # Its rest is still to come.
            yield request
            text = text[end:]


def value_as_json(value, plain):
    """A value as the protocol wants it: `plain` knows strings only."""
    if value is None:
        return "NULL" if plain else None
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    # A number beyond 64 bits would lose its last digits on the way; as text it does not.
    if not plain and isinstance(value, (bool, int)) and -1 << 63 <= value < 1 << 64:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def sqlstate(error):
    """DuckDB has no SQLSTATE; the classes that it tells apart have one in the standard."""
    states = {"ParserException": "42601", "CatalogException": "42000", "ConstraintException": "23000",
              "ConversionException": "22018", "OutOfRangeException": "22003", "BinderException": "42000"}
    return states.get(type(error).__name__)


def answer(connection, request, plain, failure):
    """What the database says to a request; `failure` is the class of its errors."""
    try:
        result = connection.execute(request["sql"])
        # Of SQL that holds no statement there is no result.
        columns = result.description or [] if result else []
        rows = result.fetchall() if columns else []
    except failure as error:
        state = None if plain else sqlstate(error)
        return {"err": str(error), **({"sqlstate": state} if state else {})}
    # What changes rows says how many in a column of this name.
    is_count = [column[0] for column in columns] == ["Count"] and "letters" not in request
    if not plain and (is_count or not columns):
        return {"count": rows[0][0] if is_count and rows else 0}
    if plain and is_count:
        return {"result": []}
    result = [[value_as_json(value, plain) for value in row] for row in rows]
    return {"result": result} if plain else {"result": result, "columns": len(columns)}


def main():
    """Answers requests until there are no more."""
    plain = not os.environ.get("SLT_PROTOCOL")

    def say(what):
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    try:
        import duckdb
    except ImportError:
        sys.exit("error: this driver needs the Python package `duckdb`: pip install duckdb")
    if not plain:
        say({"protocol": 1, "name": "duckdb"})
    # Threads are the runner's business: it starts as many drivers as it wants files run at a time.
    connection = duckdb.connect(":memory:", config={"threads": "1"})
    for request in requests(sys.stdin.buffer):
        say(answer(connection, request, plain, duckdb.Error))


if __name__ == "__main__":
    main()

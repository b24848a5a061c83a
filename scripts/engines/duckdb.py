#!/usr/bin/env python3
"""DuckDB as an external engine of slt: `slt run --engine "external:python3 scripts/engines/duckdb.py"`.

Reads JSON objects from standard input, such as {"sql":"SELECT 1"}, and answers each with one on standard output:
{"result":[["1"]]} or {"err":"..."}. If SLT_PROTOCOL is set, it greets first and then speaks the extension, in which
values keep their types and a statement answers with a count. See docs/engines.md. Needs `pip install duckdb`.

With the extension, one process serves all connections of a script, and opens its database again when it is asked to.
For scripts in DuckDB's dialect, values are DuckDB's own text: each column is cast to VARCHAR in SQL. Otherwise dates,
lists and whatever else JSON does not have are written as Python writes them.
"""

import codecs
import decimal
import json
import os
import sys

# This file has the name of the module that it needs, so its folder must not be searched.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]

# Settings that cannot or must not be set again when a database is opened again.
FLEETING = {"access_mode", "duckdb_api", "custom_user_agent", "allow_unsigned_extensions", "storage_compatibility_version",
            "schema", "search_path", "log_query_path", "enable_logging", "logging_level", "logging_mode",
            "logging_storage", "enabled_log_types", "disabled_log_types", "temp_directory", "autoload_known_extensions",
            "autoinstall_known_extensions"}


def requests(stream):
    """The JSON objects in a stream of bytes: one after another, in chunks of any size."""
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
    """A value in the protocol's format: `plain` has only strings."""
    if value is None:
        return "NULL" if plain else None
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    # A number beyond 64 bits would lose its last digits on the way; text does not.
    if not plain and isinstance(value, (bool, int)) and -1 << 63 <= value < 1 << 64:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def sqlstate(error):
    """DuckDB has no SQLSTATE; its error classes have one in the standard."""
    states = {"ParserException": "42601", "CatalogException": "42000", "ConstraintException": "23000",
              "ConversionException": "22018", "OutOfRangeException": "22003", "BinderException": "42000"}
    return states.get(type(error).__name__)


class Database:
    """A script's database and its connections."""

    def __init__(self, duckdb, plain):
        self.duckdb, self.plain = duckdb, plain
        self.path, self.read_only, self.version = ":memory:", False, None
        self.required = set()
        self.connections = {}
        self.main = None
        self.start({})

    def start(self, settings, load=True):
        """Opens the database at the current path. The runner decides about threads, unless the script sets them: it starts
        one driver for each file that runs at the same time."""
        config = {"threads": "1", "allow_unsigned_extensions": "true", "autoload_known_extensions": "false",
                  "autoinstall_known_extensions": "false"}
        if self.version:
            config["storage_compatibility_version"] = self.version
        self.main = self.duckdb.connect(self.path, read_only=self.read_only, config=config)
        for name, value in settings.items():
            try:
                self.main.execute(f"SET GLOBAL {name} = '" + value.replace("'", "''") + "'")
            except self.duckdb.Error:
                pass  # One that cannot be set while the database is open.
        if load:
            for extension in sorted(self.required):
                self.load(extension)

    def stop(self):
        """Closes all connections, and so the database."""
        for connection in self.connections.values():
            connection.close()
        self.connections = {}
        if self.main:
            self.main.close()
        self.main = None

    def settings(self):
        """The settings that differ from those of a new database; a restart keeps them."""
        sql = "SELECT name, value FROM duckdb_settings() WHERE value IS NOT NULL AND value <> ''"
        try:
            # The script sets things on the first connection.
            first = self.connections[min(self.connections)] if self.connections else self.main
            present = dict(first.execute(sql).fetchall())
            with self.duckdb.connect(":memory:", config={"threads": "1"}) as fresh:
                usual = dict(fresh.execute(sql).fetchall())
        except self.duckdb.Error:
            return {}
        return {name: value for name, value in present.items() if usual.get(name) != value and name not in FLEETING}

    def load(self, extension):
        """Loads an extension; whether that worked."""
        try:
            self.main.execute(f"LOAD {extension}")
            return True
        except self.duckdb.Error:
            rows = self.main.execute("SELECT loaded FROM duckdb_extensions() WHERE extension_name = ?", [extension])
            return (rows.fetchone() or (False,))[0]

    def connection(self, number):
        """A connection by its number; 0 is the first one; all share one database."""
        if number not in self.connections:
            self.connections[number] = self.main.cursor()
        return self.connections[number]

    def answer(self, request):
        """The database's answer to a request."""
        try:
            if "require" in request:
                return {"met": self.require(request["require"])}
            if "open" in request:
                wanted = request["open"]
                self.stop()
                self.path, self.read_only = wanted.get("path") or ":memory:", wanted.get("read_only", False)
                self.version = wanted.get("version")
                self.start({})
                return {"count": 0}
            if "restart" in request:
                settings = self.settings()
                self.stop()
                self.start(settings, request["restart"].get("extensions", True))
                return {"count": 0}
            if "close" in request:
                closed = self.connections.pop(request["close"], None)
                if closed:
                    closed.close()
                return {"count": 0}
            connection = self.connection(request.get("connection", 0))
            if request.get("dialect") == "duckdb":
                return self.own_text(connection, request)
            return self.values(connection, request)
        except self.duckdb.Error as error:
            state = None if self.plain else sqlstate(error)
            return {"err": str(error), **({"sqlstate": state} if state else {})}

    def require(self, words):
        """Whether an extension, and so what a script requires, is available."""
        name = words[0].lower()
        if name == "no_extension_autoloading":
            return True  # It is switched off when the database is opened.
        if not self.load(name):
            return False
        self.required.add(name)
        return True

    def values(self, connection, request):
        """Values as Python objects."""
        result = connection.execute(request["sql"])
        # SQL without a statement has no result.
        columns = result.description or [] if result else []
        rows = result.fetchall() if columns else []
        # Changing statements return the number of rows in a column of this name.
        is_count = [column[0] for column in columns] == ["Count"] and "letters" not in request
        if not self.plain and (is_count or not columns):
            return {"count": rows[0][0] if is_count and rows else 0}
        if self.plain and is_count:
            return {"result": []}
        result = [[value_as_json(value, self.plain) for value in row] for row in rows]
        return {"result": result} if self.plain else {"result": result, "columns": len(columns)}

    def own_text(self, connection, request):
        """Values as DuckDB formats them, and the types of the columns."""
        sql = request["sql"]
        if "letters" not in request:
            connection.execute(sql)
            return {"count": 0}
        statements = connection.extract_statements(sql)
        if not statements:
            return {"count": 0}
        changes = self.duckdb.ExpectedResultType.CHANGED_ROWS in statements[-1].expected_result_type
        if changes and "returning" not in sql.lower():
            rows = connection.execute(sql).fetchall()
            return {"result": [[str(value) for value in row] for row in rows], "columns": 1, "types": ["BIGINT"]}
        relation = connection.query(sql)
        if relation is None:
            # A statement that returns nothing has one column without rows.
            return {"result": [], "columns": 1, "types": ["BOOLEAN"]}
        types = [str(kind) for kind in relation.types]
        rows = [list(row) for row in relation.project("COLUMNS(*)::VARCHAR").fetchall()]
        for index in (index for index, kind in enumerate(types) if kind == "BOOLEAN"):
            for row in rows:
                row[index] = None if row[index] is None else row[index] == "true"
        return {"result": rows, "columns": len(types), "types": types}


def main():
    """Answers requests until the input ends."""
    plain = not os.environ.get("SLT_PROTOCOL")

    def say(what):
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    try:
        import duckdb
    except ImportError:
        sys.exit("error: this driver needs the Python package `duckdb`: pip install duckdb")
    if not plain:
        say({"protocol": 1, "name": "duckdb", "capabilities": ["connections", "reopen", "require"]})
    database = None
    for request in requests(sys.stdin.buffer):
        database = database or Database(duckdb, plain)
        say(database.answer(request))


if __name__ == "__main__":
    main()

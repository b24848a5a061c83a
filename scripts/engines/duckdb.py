#!/usr/bin/env python3
"""DuckDB as an external engine of slt: `slt run --engine "external:python3 scripts/engines/duckdb.py"`.

Reads JSON objects from standard input, such as {"sql":"SELECT 1"}, and answers each with one on standard output:
{"result":[["1"]]} or {"err":"..."}. If SLT_PROTOCOL is set, it sends a greeting first and then uses the extended protocol,
in which values keep their types and the answer to a statement is a count. See docs/engines.md. Needs `pip install duckdb`.

With the extended protocol, one process serves all connections of a script, opens its database again on request, and serves
further scripts. The C library in the package runs scripts in DuckDB's dialect: values are DuckDB's own text. Otherwise
values are as Python writes them.
"""

import codecs
import contextlib
import ctypes
import decimal
import importlib.util
import json
import os
import queue
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from duckdb_library import CONFIG, NUMBERS, POINTER, VARCHAR, Failed, Library  # noqa: E402

# This file has the name of the module that the library comes from, so its folder must not be searched any more.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != HERE]

# Settings that cannot or must not be set again when a database is opened again.
FLEETING = """access_mode duckdb_api custom_user_agent allow_unsigned_extensions storage_compatibility_version schema
    search_path log_query_path enable_logging logging_level logging_mode logging_storage enabled_log_types
    disabled_log_types temp_directory autoload_known_extensions autoinstall_known_extensions""".split()


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
                break  # The rest of the object has not arrived yet.
            yield request
            text = text[end:]


def value_as_json(value, plain):
    """A value in the protocol's format: `plain`, the protocol without the extension, has only strings."""
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


class Values:
    """A script's database in memory and its connections, through the Python module: values are as Python has them."""

    def __init__(self, plain):
        import duckdb
        self.duckdb, self.plain = duckdb, plain
        self.main = duckdb.connect(":memory:", config=CONFIG)
        self.connections = {}

    def answer(self, request):
        """The database's answer to a request."""
        try:
            if "close" in request:
                self.connections.pop(request["close"], self.main.cursor()).close()
                return {"count": 0}
            number = request.get("connection", 0)
            self.connections[number] = self.connections.get(number) or self.main.cursor()
            return self.run(self.connections[number], request)
        except self.duckdb.Error as error:
            state = None if self.plain else sqlstate(error)
            return {"err": str(error), **({"sqlstate": state} if state else {})}

    def run(self, connection, request):
        """Runs SQL."""
        result = connection.execute(request["sql"])
        # SQL without a statement has no result.
        columns = result.description or [] if result else []
        rows = result.fetchall() if columns else []
        # Changing statements return the number of rows in a column of this name.
        is_count = [column[0] for column in columns] == ["Count"] and "letters" not in request
        if not self.plain and (is_count or not columns):
            return {"count": rows[0][0] if is_count and rows else 0}
        rows = [] if is_count else rows
        result = [[value_as_json(value, self.plain) for value in row] for row in rows]
        return {"result": result, **({} if self.plain else {"columns": len(columns)})}

    def stop(self):
        """Closes all connections, and so the database."""
        for connection in [*self.connections.values(), self.main]:
            connection.close()


class Writer:
    """Converts values to DuckDB's text, in a database of its own, so that a script's database does not change.

    It has the extensions that scripts require: they may define how values of their types are written.
    """

    def __init__(self, library):
        self.library, self.lock = library, threading.Lock()
        self.database = library.open(None, library.config)
        self.connection = library.connection(self.database)
        self.tables, self.zone = set(), None

    def load(self, extension):
        """Loads an extension, if possible."""
        with contextlib.suppress(Failed), self.lock:
            self.library.run(self.connection, f"LOAD '{extension}'")

    def rows(self, chunks, kinds, zone):
        """The texts of all values in chunks of columns of these types."""
        library, count = self.library, len(kinds)
        with self.lock:
            if zone and zone != self.zone:
                for name, value in zone:
                    library.run(self.connection, f"SET {name} = '" + value.replace("'", "''") + "'")
                self.zone = zone
            if count not in self.tables:
                columns = ", ".join(f"c{index} VARCHAR" for index in range(count))
                library.run(self.connection, f"CREATE TABLE t{count}({columns})")
                self.tables.add(count)
            appender = POINTER()
            sql = f"INSERT INTO t{count} SELECT CAST(COLUMNS(*) AS VARCHAR) FROM appended_data".encode()
            failed = library.appender_create_query(
                self.connection, sql, count, (POINTER * count)(*kinds), None, None, ctypes.byref(appender))
            try:
                failed = failed or any([library.append_data_chunk(appender, chunk) for chunk in chunks])
                if failed or library.appender_flush(appender):
                    message = library.appender_error(appender) or b""
                    raise Failed("cannot write the values of the result: " + message.decode("utf-8", "replace"))
                return library.texts(self.connection, f"SELECT * FROM t{count}")
            finally:
                library.appender_destroy(ctypes.byref(appender))
                library.run(self.connection, f"TRUNCATE t{count}")


class Database:
    """A script's database and its connections, through the C library: values are DuckDB's own text."""

    def __init__(self, library, writer):
        self.library, self.writer = library, writer
        self.path = self.version = self.database = self.own = None
        # For secrets that a script creates with CREATE PERSISTENT SECRET.
        self.folder = tempfile.TemporaryDirectory(prefix="slt-duckdb-", ignore_cleanup_errors=True)
        self.required, self.connections, self.read_only, self.lock = set(), {}, False, threading.Lock()
        self.start({})

    def start(self, settings, load=True):
        """Opens the database at the current path."""
        config = {**self.library.config, "secret_directory": self.folder.name}
        if self.version:
            config["storage_compatibility_version"] = self.version
        if self.read_only:
            config["access_mode"] = "READ_ONLY"
        self.database = self.library.open(self.path, config)
        self.own = self.library.connection(self.database)
        for name, value in settings.items():
            # Some cannot be set while the database is open.
            with contextlib.suppress(Failed):
                self.library.run(self.own, f"SET GLOBAL {name} = '" + value.replace("'", "''") + "'")
        for extension in sorted(self.required) if load else []:
            self.load(extension)

    def stop(self):
        """Closes all connections, and so the database."""
        for connection in [*self.connections.values(), *([self.own] if self.own else [])]:
            self.library.disconnect(ctypes.byref(connection))
        self.connections, self.own = {}, None
        if self.database:
            self.library.close(ctypes.byref(self.database))
        self.database = None

    def settings(self):
        """The settings that differ from those of a new database; a restart keeps them."""
        sql = "SELECT name, value FROM duckdb_settings() WHERE value IS NOT NULL AND value <> ''"
        # The settings of a script are those of its first connection.
        first = self.connections[min(self.connections)] if self.connections else self.own
        try:
            present, usual = (dict(self.library.texts(one, sql)) for one in (first, self.writer.connection))
        except Failed:
            return {}
        return {name: value for name, value in present.items() if usual.get(name) != value and name not in FLEETING}

    def storage(self):
        """The version whose format new files have, if it is not the usual one: the next database has it, too."""
        sql = "SELECT current_setting('storage_compatibility_version')"
        try:
            present, usual = (self.library.texts(one, sql)[0][0] for one in (self.own, self.writer.connection))
        except Failed:
            return self.version
        return present if present != usual else None

    def load(self, extension):
        """Loads an extension, and returns whether it is loaded."""
        name = extension.replace("'", "''")
        try:
            self.library.run(self.own, f"LOAD '{name}'")
            self.writer.load(name)
            return True
        except Failed:
            sql = f"SELECT loaded::VARCHAR FROM duckdb_extensions() WHERE extension_name = '{name}'"
            return self.library.texts(self.own, sql) == [("true",)]

    def answer(self, request):
        """The database's answer to a request."""
        try:
            if "require" in request:
                return {"met": self.require(request["require"])}
            if "open" in request:
                self.version = request["open"].get("version") or self.storage()
                self.stop()
                self.path, self.read_only = map(request["open"].get, ("path", "read_only"))
                self.start({})
            elif "restart" in request:
                settings, self.version = self.settings(), self.storage()
                self.stop()
                self.start(settings, request["restart"].get("extensions", True))
            elif "close" in request:
                closed = self.connections.pop(request["close"], None)
                if closed:
                    self.library.disconnect(ctypes.byref(closed))
            else:
                connection = self.connection(request.get("connection", 0))
                # The answer to a query has the values and the types of the columns.
                is_query = "letters" in request
                read = (lambda result: self.rows(connection, result)) if is_query else (lambda _: {"count": 0})
                return self.library.run(connection, request["sql"], read)
            return {"count": 0}
        except Failed as error:
            return {"err": str(error)}

    def require(self, words):
        """Whether the extension that a script requires is available."""
        name = words[0].lower()
        is_extension = name != "no_extension_autoloading"  # CONFIG switches autoloading off.
        met = not is_extension or self.load(name)
        self.required.update([name] if is_extension and met else [])
        return met

    def connection(self, number):
        """The connection with a number; all connections share the database."""
        with self.lock:
            if not self.database:
                raise Failed("the database is closed")
            if number not in self.connections:
                self.connections[number] = self.library.connection(self.database)
            return self.connections[number]

    def rows(self, connection, result):
        """The rows of a result."""
        library = self.library
        kinds = [POINTER(library.column_logical_type(ctypes.byref(result), index))
                 for index in range(library.column_count(ctypes.byref(result)))]
        try:
            numbers = [library.get_type_id(kind) for kind in kinds]
            if all(number in NUMBERS or number == VARCHAR for number in numbers):
                rows = [row for chunk in library.chunks(result)
                        for row in zip(*(library.column(chunk, index, number) for index, number in enumerate(numbers)))]
            else:
                rows = self.written(connection, result, kinds, numbers)
            return {"result": rows, "columns": len(kinds), "types": [library.name(kind) for kind in kinds]}
        finally:
            for kind in kinds:
                library.destroy_logical_type(ctypes.byref(kind))

    def written(self, connection, result, kinds, numbers):
        """The rows of a result, in DuckDB's text."""
        zone = None
        if any(map(self.library.has_zone, kinds)):
            # Without the extension `icu` there is only one time zone.
            with contextlib.suppress(Failed):
                sql = "SELECT current_setting('TimeZone'), current_setting('Calendar')"
                zone = list(zip(["TimeZone", "Calendar"], self.library.texts(connection, sql)[0]))
        rows = [list(row) for row in self.writer.rows(self.library.chunks(result), kinds, zone)]
        for column in (index for index, number in enumerate(numbers) if NUMBERS.get(number, "")[:1] == ("BOOLEAN",)):
            for row in rows:
                row[column] = row[column] and row[column] == "true"
        return rows


class Driver:
    """Serves the scripts of one runner, one after the other."""

    def __init__(self, plain, say):
        self.plain, self.say = plain, say
        self.database = self.library = self.writer = None
        # For each connection, the queue of its requests with an `id`.
        self.threads = {}

    def serve(self, request):
        """Answers a request: one with an `id` as soon as its connection is free, and all others at once."""
        if "script" in request or "close" in request:
            ended = list(self.threads) if "script" in request else [request["close"]]
            for number in ended:
                self.threads.pop(number, queue.SimpleQueue()).put(None)
        if "script" in request:
            if self.database:
                self.database.stop()
            self.database = None
            return self.say({"count": 0})
        self.database = self.database or self.open(request)
        if "id" not in request:
            return self.say(self.database.answer(request))
        number = request.get("connection", 0)
        if number not in self.threads:
            self.threads[number] = queue.SimpleQueue()
            threading.Thread(target=self.work, args=(self.threads[number],), daemon=True).start()
        return self.threads[number].put(request)

    def work(self, waiting):
        """Answers the waiting requests of one connection, until the connection is closed."""
        while request := waiting.get():
            self.say({**self.database.answer(request), "id": request["id"]})

    def open(self, request):
        """Opens the script's database."""
        if "sql" in request and request.get("dialect") != "duckdb":
            return Values(self.plain)
        if not self.library:
            self.library = Library()
            self.writer = Writer(self.library)
        return Database(self.library, self.writer)


def main():
    """Answers requests until the input ends."""
    plain, lock = not os.environ.get("SLT_PROTOCOL"), threading.Lock()

    def say(what):
        with lock:
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()

    if not importlib.util.find_spec("duckdb"):
        sys.exit("error: this driver needs the Python package `duckdb`: pip install duckdb")
    if not plain:
        say({"protocol": 1, "name": "duckdb",
             "capabilities": ["connections", "reopen", "require", "scripts", "concurrent"]})
    driver = Driver(plain, say)
    for request in requests(sys.stdin.buffer):
        driver.serve(request)
    driver.database = None
    os._exit(0)  # Threads may still run queries whose answers are no longer needed.


if __name__ == "__main__":
    main()

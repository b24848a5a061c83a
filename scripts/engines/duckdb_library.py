"""The C library of DuckDB, as far as duckdb.py uses it."""

import ctypes
import glob
import importlib.util
import os
import sys

# How a database is opened. It has one thread, unless the script sets more: the runner starts a driver for each file that
# runs at the same time.
CONFIG = {"threads": "1", "allow_unsigned_extensions": "true", "autoload_known_extensions": "false",
          "autoinstall_known_extensions": "false"}


class Failed(Exception):
    """An error with DuckDB's message."""


class Result(ctypes.Structure):
    """`duckdb_result`; only DuckDB reads its fields."""
    _fields_ = [("numbers", ctypes.c_uint64 * 3), ("pointers", ctypes.c_void_p * 3)]


POINTER, TEXT = ctypes.c_void_p, ctypes.c_char_p

# The functions of the C library that are used here, each with the kind of its result and then those of its arguments.
KINDS = {"-": None, "i": ctypes.c_int, "b": ctypes.c_uint8, "n": ctypes.c_uint64, "p": POINTER, "t": TEXT,
         "v": Result, "r": ctypes.POINTER(Result)}
FUNCTIONS = """
    create_config=ip set_config=iptt destroy_config=-p open_ext=itppp free=-p close=-p connect=ipp disconnect=-p
    query=iptr destroy_result=-r result_error=tr column_count=nr column_logical_type=prn fetch_chunk=pv
    destroy_data_chunk=-p data_chunk_get_size=np data_chunk_get_vector=ppn vector_get_data=pp vector_get_validity=pp
    get_type_id=ip decimal_width=bp decimal_scale=bp destroy_logical_type=-p list_type_child_type=pp
    array_type_child_type=pp map_type_key_type=pp map_type_value_type=pp struct_type_child_count=np
    struct_type_child_type=ppn union_type_member_count=np union_type_member_type=ppn appender_create_query=iptnptpp
    append_data_chunk=ipp appender_flush=ip appender_error=tp appender_destroy=ip config_count=n get_config_flag=inpp
"""

# DuckDB's numbers for the types whose values are read from memory, each with its name and its layout in memory.
NUMBERS = {1: ("BOOLEAN", ctypes.c_bool), 2: ("TINYINT", ctypes.c_int8), 3: ("SMALLINT", ctypes.c_int16),
           4: ("INTEGER", ctypes.c_int32), 5: ("BIGINT", ctypes.c_int64), 6: ("UTINYINT", ctypes.c_uint8),
           7: ("USMALLINT", ctypes.c_uint16), 8: ("UINTEGER", ctypes.c_uint32), 9: ("UBIGINT", ctypes.c_uint64)}
# Other types whose names decide how values are compared.
OTHERS = {10: "FLOAT", 11: "DOUBLE", 16: "HUGEINT", 17: "VARCHAR", 32: "UHUGEINT"}
VARCHAR, DECIMAL, LIST, STRUCT, MAP, UNION, ARRAY, ZONED = 17, 19, 24, 25, 26, 28, 33, (31, 42)


class Library:
    """The C library in the Python package `duckdb`. Its functions do not hold Python's lock while they run."""

    def __init__(self):
        library = ctypes.CDLL(self.path())
        for name, kinds in (function.split("=") for function in FUNCTIONS.split()):
            try:
                function = getattr(library, f"duckdb_{name}")
            except AttributeError:
                sys.exit(f"error: the Python package `duckdb` is too old, it has no `duckdb_{name}`: "
                         "pip install --upgrade duckdb")
            function.restype, function.argtypes = KINDS[kinds[0]], [KINDS[kind] for kind in kinds[1:]]
            setattr(self, name, function)
        # DuckDB's own runner shows secrets.
        unredacted = {"allow_unredacted_secrets": "true"}
        self.config = {**CONFIG, **{name: value for name, value in unredacted.items() if self.knows(name)}}

    @staticmethod
    def path():
        """The library's path. The module itself is not imported: that would take longer than most scripts."""
        spec = importlib.util.find_spec("_duckdb")
        if spec and spec.origin:
            return spec.origin
        folders = importlib.util.find_spec("duckdb").submodule_search_locations
        return next(path for folder in folders for path in glob.glob(os.path.join(glob.escape(folder), "duckdb*.so")))

    def knows(self, setting):
        """Whether a database can be opened with this setting."""
        name, purpose = TEXT(), TEXT()
        for index in range(self.config_count()):
            self.get_config_flag(index, ctypes.byref(name), ctypes.byref(purpose))
            if name.value == setting.encode():
                return True
        return False

    def open(self, path, config):
        """Opens a database."""
        handle, database, error = POINTER(), POINTER(), TEXT()
        self.create_config(ctypes.byref(handle))
        try:
            for name, value in config.items():
                self.set_config(handle, name.encode(), value.encode())
            if self.open_ext(path and path.encode(), ctypes.byref(database), handle, ctypes.byref(error)):
                message = (error.value or b"the database cannot be opened").decode("utf-8", "replace")
                self.free(error)
                raise Failed(message)
        finally:
            self.destroy_config(ctypes.byref(handle))
        return database

    def connection(self, database):
        """A new connection."""
        connection = POINTER()
        if self.connect(database, ctypes.byref(connection)):
            raise Failed("there is no connection to the database")
        return connection

    def run(self, connection, sql, read=lambda _: None):
        """Runs SQL, and passes the result to `read` before it is destroyed."""
        if not connection:
            raise Failed("the database is closed")
        result = Result()
        try:
            if self.query(connection, sql.encode("utf-8", "surrogatepass"), ctypes.byref(result)):
                raise Failed((self.result_error(ctypes.byref(result)) or b"").decode("utf-8", "replace"))
            return read(result)
        finally:
            self.destroy_result(ctypes.byref(result))

    def chunks(self, result):
        """The rows of a result, in pieces."""
        while chunk := POINTER(self.fetch_chunk(result)):
            yield chunk
            self.destroy_data_chunk(ctypes.byref(chunk))

    def column(self, chunk, index, kind):
        """The values of a column of numbers or texts."""
        count, vector = self.data_chunk_get_size(chunk), self.data_chunk_get_vector(chunk, index)
        data, validity = self.vector_get_data(vector), self.vector_get_validity(vector)
        bits = ctypes.string_at(validity, (count + 7) // 8) if validity else None
        # The bytes of a NULL value may be anything.
        is_valid = [bits is None or bits[row // 8] >> row % 8 & 1 for row in range(count)]
        if kind in NUMBERS:
            return [value if valid else None
                    for value, valid in zip((NUMBERS[kind][1] * count).from_address(data), is_valid)]
        return [self.text(data + 16 * row) if valid else None for row, valid in enumerate(is_valid)]

    @staticmethod
    def text(address):
        """The text that is stored at an address: its length, and then the text itself if it is short, or else its address."""
        length = ctypes.c_uint32.from_address(address).value
        start = address + 4 if length <= 12 else ctypes.c_uint64.from_address(address + 8).value
        return ctypes.string_at(start, length).decode("utf-8", "replace")

    def texts(self, connection, sql):
        """The rows of a query whose columns are texts."""
        def read(result):
            count = self.column_count(ctypes.byref(result))
            return [row for chunk in self.chunks(result)
                    for row in zip(*(self.column(chunk, index, VARCHAR) for index in range(count)))]
        return self.run(connection, sql, read)

    def name(self, kind):
        """The name of a type, if it decides how values are compared."""
        number = self.get_type_id(kind)
        if number == DECIMAL:
            return f"DECIMAL({self.decimal_width(kind)},{self.decimal_scale(kind)})"
        return NUMBERS.get(number, (OTHERS.get(number, ""),))[0]

    def has_zone(self, kind):
        """Whether the text of such values depends on the time zone."""
        number = self.get_type_id(kind)
        known = {LIST: [self.list_type_child_type], ARRAY: [self.array_type_child_type],
                 MAP: [self.map_type_key_type, self.map_type_value_type]}
        counted = {STRUCT: (self.struct_type_child_count, self.struct_type_child_type),
                   UNION: (self.union_type_member_count, self.union_type_member_type)}
        inner = [child(kind) for child in known.get(number, [])]
        if number in counted:
            count, child = counted[number]
            inner = [child(kind, index) for index in range(count(kind))]
        found = [self.has_zone(child) for child in inner]
        for child in inner:
            self.destroy_logical_type(ctypes.byref(POINTER(child)))
        return number in ZONED or any(found)

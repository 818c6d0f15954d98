"""What is said twice, here and in the library, is the same."""

import inspect
import re
from pathlib import Path

import pytest

import phantomdb
from phantomdb import _native, aio, errors
from phantomdb.client import PhantomDB
from phantomdb.pool import PhantomDBConnectionPool

ROOT = Path(__file__).parents[3]


#: What the public SDK calls an argument, where the library has another name; ours takes both.
PUBLIC = {
    ("drop_database", "database"): "name",
    ("drop_table", "table"): "name",
    ("insert", "row"): "data",
    ("execute_query", "sql"): "query",
}


def parameters(function):
    return list(inspect.signature(function).parameters.values())[1:]


def test_every_operation_is_a_method_with_the_arguments_of_the_library():
    assert len(_native.operations) == 15
    for kind in (PhantomDB, aio.PhantomDB):
        for _, name, required, arguments in _native.operations:
            given = parameters(getattr(kind, name))
            public = [PUBLIC.get((name, it), it) for it in arguments]
            assert [it.name for it in given] == public, name
            optional = [it.default is not inspect.Parameter.empty for it in given]
            assert optional == [number >= required for number in range(len(arguments))], name


def test_every_operation_but_those_of_transactions_is_a_method_of_the_pools():
    for _, name, _, _ in _native.operations:
        for kind in (PhantomDBConnectionPool, aio.Pool):
            assert hasattr(kind, name) == (not name.endswith("_transaction")), name


def test_every_code_has_an_exception():
    codes = {name for number, name, _ in _native.codes if number != 0}
    classes = {
        value.CODE: value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, phantomdb.PhantomDBError)
    }
    assert set(classes) - {None} == codes
    for code, value in classes.items():
        if code is not None:
            assert getattr(phantomdb, value.__name__) is value
            assert value.__name__ in phantomdb.__all__


def test_the_defaults_in_the_signature_are_the_library_s():
    defaults = phantomdb.default_options()
    named = {it.name: it.default for it in parameters(PhantomDBConnectionPool.__init__)}
    assert set(named) == {*defaults, "log"}
    for name, default in named.items():
        assert default is None or default == defaults[name], name
    first = ["base_url", "min_connections", "max_connections", "acquire_timeout", "idle_timeout"]
    assert list(named)[:5] == first
    assert all(named[name] is not None for name in first)
    assert inspect.signature(aio.create_pool) == inspect.signature(phantomdb.create_pool)


def test_an_option_that_the_library_does_not_know_is_refused(monkeypatch):
    older = phantomdb.default_options()
    del older["leak_threshold"]
    monkeypatch.setattr(_native, "default_options", lambda: older)
    phantomdb.create_pool().close()
    with pytest.raises(TypeError, match="leak_threshold: this libphantomdb does not know"):
        phantomdb.create_pool(leak_threshold=1)


#: How an option is annotated whose default is of this type.
ANNOTATIONS = {bool: "bool", int: "int", float: "float", str: "str"}


def test_the_types_in_the_signature_are_the_library_s():
    for name, default in phantomdb.default_options().items():
        given = inspect.signature(PhantomDBConnectionPool.__init__).parameters[name]
        if default is not None:
            wanted = ANNOTATIONS[type(default)]
        else:
            wanted = "str | os.PathLike[str]" if name.endswith("_file") else "str"
        optional = "" if given.default is not None else " | None"
        assert given.annotation == wanted + optional, name
        assert re.search(rf"\b{name}\b", PhantomDBConnectionPool.__init__.__doc__), name


def test_every_option_of_the_header_is_there():
    header = (ROOT / "include/phantomdb.h").read_text()
    body = re.search(
        r"typedef struct phantomdb_pool_options \{(.*?)\} phantomdb_pool_options;", header, re.S
    ).group(1)
    members = {
        (callback or member).removesuffix("_ms")
        for callback, member in re.findall(r"^ {4}[a-z].*?\**(?:\(\*(\w+)\)|(\w+);)", body, re.M)
    } - {"struct_size", "reserved", "log_user_data"}
    assert members == {*phantomdb.default_options(), "log"}


def test_the_versions_agree():
    assert phantomdb.__version__ == _native.version
    cargo = (ROOT / "Cargo.toml").read_text()
    assert f'version = "{phantomdb.__version__}"' in cargo
    assert (
        f"version: '{phantomdb.__version__}'" in (ROOT / "bindings/python/meson.build").read_text()
    )


def test_the_build_requirements_agree():
    package = ROOT / "bindings/python"
    listed = (package / "requirements-build.txt").read_text().splitlines()
    project = (package / "pyproject.toml").read_text()
    required = re.findall(r'"(\S+)"', re.search(r"^requires = (.*)$", project, re.M).group(1))
    assert len(required) == 3
    assert set(required) <= set(listed)


def is_ours(value):
    return getattr(value, "__module__", "").split(".")[0] == "phantomdb"


def test_everything_public_is_documented():
    greenlets = pytest.importorskip("phantomdb.gevent", exc_type=ImportError)
    for module in (phantomdb, phantomdb.pool, phantomdb.client, errors, aio, greenlets):
        assert module.__doc__
        public = {name: it for name, it in vars(module).items() if not name.startswith("_")}
        for name, value in public.items():
            if not is_ours(value):
                continue
            assert value.__doc__, name
            for base in filter(is_ours, inspect.getmro(value) if inspect.isclass(value) else ()):
                for member, it in vars(base).items():
                    if not member.startswith("_") and (
                        callable(it) or inspect.isdatadescriptor(it)
                    ):
                        assert it.__doc__, f"{name}.{member}"

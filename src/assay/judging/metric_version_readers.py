"""Calls that leave what they are given as it is: the common ones, so that reading a table is not changing it."""

from __future__ import annotations

#: built-in functions that leave their arguments alone
READERS = frozenset(
    {"abs", "all", "any", "bool", "bytes", "dict", "divmod", "enumerate", "filter", "float", "format", "frozenset"}
    | {"hash", "id", "int", "isinstance", "issubclass", "len", "list", "map", "max", "min", "pow", "print", "range"}
    | {"repr", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "type", "zip"}
)

#: methods, and functions of array libraries, that leave object and arguments alone
READING = frozenset(
    {"all", "any", "arange", "argmax", "argmin", "argsort", "array", "asarray", "astype", "clip", "copy", "count"}
    | {"cumsum", "dot", "encode", "endswith", "exp", "format", "full", "get", "index", "isin", "item", "items", "join"}
    | {"keys", "linspace", "log", "lower", "max", "mean", "min", "ones", "prod", "ravel", "replace", "reshape"}
    | {"round", "split", "sqrt", "startswith", "std", "strip", "sum", "tolist", "transpose", "unique", "upper"}
    | {"values", "var", "where", "zeros"}
)

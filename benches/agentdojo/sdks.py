"""Stands in for the SDKs of model providers, which AgentDojo imports and this measure never calls."""

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType

_SDKS = {"anthropic", "cohere", "google", "langchain", "openai"}


class _Anything(type):
    """A class of which every attribute is such a class again."""

    def __getattr__(cls, name: str) -> type:
        return _anything(name)

    def __getitem__(cls, _: object) -> type:
        return cls


def _anything(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    # An exception, since some of the names stand in `except` clauses.
    return _Anything(name, (Exception,), {})


class _Module(ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        return _anything(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in _SDKS:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, _Finder())
